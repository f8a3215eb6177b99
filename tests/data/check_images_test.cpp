// SPDX-License-Identifier: MIT
#include "data/check_images.h"

#include "data/pack_format.h"
#include "tests/data/pack_files.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;
using testing::Bytes;
using testing::expect_data_error;
using testing::TempFolder;

struct Checked {
  CheckCounts counts;
  std::vector<std::string> lines;  // "word name: text", names below the folder
};

Checked check(const TempFolder& folder, const std::vector<std::string>& names, int workers = 2) {
  Checked result;
  std::vector<fs::path> paths;
  for (const std::string& name : names) paths.push_back(folder.path() / name);
  const std::string start = folder.path().string() + "/";
  const auto below = [&](std::string text) {
    for (std::size_t at; (at = text.find(start)) != std::string::npos;)
      text.erase(at, start.size());
    return text;
  };
  result.counts = check_images(paths, {.workers = workers}, [&](const Finding& f) {
    result.lines.push_back(f.word + " " + below(f.name) + ": " + below(f.text));
  });
  return result;
}

Bytes picture(int seed) { return encode_jpeg(testing::patterned(20, 20, seed), 80); }

Bytes without_end(Bytes file) {
  file.resize(file.size() - 20);
  return file;
}

TEST(CheckImages, GivesTheCauseOfEachBadFile) {
  const TempFolder folder;
  folder.write("set/a/1.jpg", picture(1));
  folder.write("set/a/2.jpg", without_end(picture(2)));
  folder.write("set/a/3.jpg", Bytes{'G', 'I', 'F', '8', '9', 'a'});
  folder.write("set/b/4.jpg", Bytes{});
  folder.write("set/b/5.jpg", Bytes{0xff, 0xd8, 0xff, 0xd9});
  folder.write("set/b/6.png", picture(6));
  folder.write("set/b/note.txt", Bytes{'x'});
  folder.write("set/.hidden/7.jpg", Bytes{'x'});
  fs::create_symlink("nowhere", folder.path() / "set/b/8.jpg");
  for (const int workers : {0, 1, 4}) {
    const Checked c = check(folder, {"set"}, workers);
    EXPECT_EQ(c.counts.images, 7);
    EXPECT_EQ(c.counts.bad, 5);
    EXPECT_EQ(c.counts.odd, 1);
    EXPECT_EQ(c.counts.duplicates + c.counts.leaks, 0);
    const char* starts[] = {"truncated set/a/2.jpg: ",
                            "unsupported set/a/3.jpg: ",
                            "empty set/b/4.jpg: ",
                            "corrupt set/b/5.jpg: ",
                            "mislabelled set/b/6.png: named as PNG, the content is JPEG",
                            "unreadable set/b/8.jpg: cannot be opened"};
    ASSERT_EQ(c.lines.size(), std::size(starts));
    for (std::size_t i = 0; i < c.lines.size(); ++i) {
      EXPECT_TRUE(c.lines[i].starts_with(starts[i])) << c.lines[i];
    }
    EXPECT_NE(c.lines[0].find("though a picture comes out"), std::string::npos) << c.lines[0];
    EXPECT_NE(c.lines[1].find("found GIF"), std::string::npos) << c.lines[1];
  }
}

TEST(CheckImages, LooksAtASingleFileWhateverItsName) {
  const TempFolder folder;
  folder.write("good.txt", picture(1));
  folder.write("bad.json", Bytes{'x'});
  EXPECT_EQ(check(folder, {"good.txt"}).counts.bad, 0);
  EXPECT_EQ(check(folder, {"good.txt", "bad.json"}).counts.bad, 1);
  expect_data_error([&] { check(folder, {"none"}); }, {"none", "found nothing"});
  fs::create_directories(folder.path() / "empty/x");
  expect_data_error([&] { check(folder, {"empty"}); }, {"empty", "found none"});
  EXPECT_EQ(check(folder, {"good.txt", "good.txt"}).counts.images, 1);
}

TEST(CheckImages, FindsEqualFilesAndThoseOfBothSplits) {
  const TempFolder folder;
  folder.write("set/train/a/1.jpg", picture(1));
  folder.write("set/train/a/2.jpg", picture(2));
  folder.write("set/train/b/1.jpg", picture(1));
  folder.write("set/val/a/1.jpg", picture(3));
  folder.write("set/val/a/2.jpg", picture(2));
  folder.write("set/val/b/9.jpg", picture(2));
  for (const int workers : {0, 3}) {
    const Checked c = check(folder, {"set"}, workers);
    EXPECT_EQ(c.counts.bad, 0);
    EXPECT_EQ(c.counts.duplicates, 1);
    EXPECT_EQ(c.counts.leaks, 2);
    EXPECT_EQ(c.lines, (std::vector<std::string>{
                           "duplicate set/train/b/1.jpg: the same bytes as set/train/a/1.jpg",
                           "leak set/val/a/2.jpg: held out and trained on: the same bytes as "
                           "set/train/a/2.jpg",
                           "leak set/val/b/9.jpg: held out and trained on: the same bytes as "
                           "set/train/a/2.jpg"}));
  }
  EXPECT_EQ(check(folder, {"set/val", "set/train"}).counts.leaks, 1);
  // One that equals both is told to be trained on.
  EXPECT_EQ(check(folder, {"set/val/a", "set/train", "set/val/b"}).counts.leaks, 2);
}

// A change by the checksum's own polynomial, in the order in which bits are taken, leaves the
// remainder as it is. Bytes decide.
TEST(CheckImages, EqualChecksumsAreNotEnough) {
  const TempFolder folder;
  Bytes first = picture(1), second;
  first.resize(first.size() + 8);
  second = first;
  constexpr std::uint64_t kPolynomial = 0x11EDC6F41;
  for (std::size_t bit = 0; bit <= 32; ++bit) {
    if (kPolynomial >> (32 - bit) & 1) {
      second[second.size() - 8 + bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    }
  }
  ASSERT_EQ(crc_of(first), crc_of(second));
  ASSERT_NE(first, second);
  folder.write("set/1.jpg", first);
  folder.write("set/2.jpg", second);
  EXPECT_EQ(check(folder, {"set"}).counts.duplicates, 0);
  folder.write("set/3.jpg", second);
  const Checked c = check(folder, {"set"});
  ASSERT_EQ(c.counts.duplicates, 1);
  EXPECT_NE(c.lines.back().find("set/2.jpg"), std::string::npos);
}

TEST(CheckImages, LooksIntoPacks) {
  const TempFolder folder;
  testing::jpeg_folder(folder, 4);
  folder.write("set/cat/002.jpg", without_end(picture(2)));
  folder.write("set/dog/zz.jpg", testing::file_bytes(folder.path() / "set/dog/001.jpg"));
  const auto source = open_image_folder(folder.path() / "set", "");
  const fs::path path = folder.path() / "set/train.pack";
  write_pack(*source, path, testing::below_set(folder));
  Checked c = check(folder, {"set/train.pack"});
  EXPECT_EQ(c.counts.images, 5);
  ASSERT_EQ(c.lines.size(), 2u);
  EXPECT_TRUE(c.lines[0].starts_with("truncated set/train.pack: cat/002.jpg: ")) << c.lines[0];
  EXPECT_EQ(c.lines[1],
            "duplicate set/train.pack: dog/zz.jpg: the same bytes as set/train.pack: dog/001.jpg");
  // A folder with the pack of it: the pack repeats nothing but the folder.
  c = check(folder, {"set"});
  EXPECT_EQ(c.counts.images, 10);
  EXPECT_EQ(c.counts.duplicates, 1);
  folder.write("val/x.jpg", testing::file_bytes(folder.path() / "set/cat/000.jpg"));
  EXPECT_EQ(check(folder, {"set/train.pack", "val"}).counts.leaks, 1);
  Bytes bytes = testing::file_bytes(path);
  bytes[64 + 40] ^= 1;
  folder.write("set/train.pack", bytes);
  c = check(folder, {"set/train.pack"});
  EXPECT_EQ(c.counts.bad, 2);
  EXPECT_TRUE(c.lines[0].starts_with("corrupt set/train.pack: cat/000.jpg: record 0"))
      << c.lines[0];
  bytes.pop_back();
  folder.write("set/train.pack", bytes);
  c = check(folder, {"set/train.pack"});
  EXPECT_EQ(c.counts.images, 1);
  EXPECT_TRUE(c.lines[0].starts_with("corrupt set/train.pack: offset")) << c.lines[0];
}

// CIFAR's and MNIST's files hold images, and are none.
TEST(CheckImages, LooksIntoKnownDataSets) {
  const TempFolder folder;
  Bytes records(2 * 3073, 7), test(3073, 9);
  records[3073] = 1;
  records[3074] = 8;
  folder.write("cifar/data_batch_1.bin", records);
  folder.write("cifar/test_batch.bin", test);
  EXPECT_EQ(check(folder, {"cifar"}).lines.size(), 0u);
  test = records;
  test.resize(3073);
  folder.write("cifar/test_batch.bin", test);
  Checked c = check(folder, {"cifar"});
  EXPECT_EQ(c.counts.images, 3);
  ASSERT_EQ(c.counts.leaks, 1);
  EXPECT_TRUE(c.lines[0].starts_with("leak cifar/test_batch.bin[0]: ")) << c.lines[0];
  folder.write("cifar/test_batch.bin", Bytes(3000));
  c = check(folder, {"cifar"});
  EXPECT_EQ(c.counts.images, 3);
  EXPECT_EQ(c.counts.bad, 1);
  EXPECT_TRUE(
      c.lines[0].starts_with("corrupt cifar/test: cifar/test_batch.bin: expected a multiple"))
      << c.lines[0];
}

TEST(SetAside, KeepsThePathAndOverwritesNothing) {
  const TempFolder folder;
  const fs::path aside = folder.path() / "aside";
  const char* expected[] = {"a/x.jpg", "a/x.1.jpg", "a/x.2.jpg"};
  for (std::uint8_t i = 0; i < 3; ++i) {
    const fs::path file = folder.write("set/a/x.jpg", Bytes{i});
    EXPECT_EQ(set_aside(file, aside, "a/x.jpg"), aside / expected[i]);
    EXPECT_FALSE(fs::exists(file));
  }
  for (std::uint8_t i = 0; i < 3; ++i) {
    EXPECT_EQ(testing::file_bytes(aside / expected[i]), Bytes{i});
  }
}

}  // namespace
}  // namespace convoy::data
