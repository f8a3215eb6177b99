// SPDX-License-Identifier: MIT
#include "data/image_folder.h"

#include <sys/stat.h>

#include "data/catalog.h"
#include "tests/data/files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;
using testing::TempFolder;

Bytes grey_jpeg(std::uint8_t level, std::int64_t height = 5, std::int64_t width = 7) {
  Image image({height, width, 3});
  std::fill(image.pixels.begin(), image.pixels.end(), level);
  return encode_jpeg(image, 95);
}

TEST(ImageFolder, NumbersClassesAndSamplesByName) {
  const TempFolder folder;
  folder.write("train/dog/b.jpg", grey_jpeg(20));
  folder.write("train/dog/a.jpg", grey_jpeg(10));
  folder.write("train/cat/deep/z.jpg", grey_jpeg(30));
  folder.write("train/Bird/no-ending", grey_jpeg(40));
  folder.write("train/dog/README.TXT", Bytes{'x'});
  folder.write("train/dog/.hidden.jpg", Bytes{'x'});
  folder.write("train/notes.md", Bytes{'x'});
  folder.write("train/.cache/x.jpg", Bytes{'x'});
  const auto set = open_image_folder(folder.path(), "train");
  EXPECT_EQ(set->class_names(), (std::vector<std::string>{"Bird", "cat", "dog"}));
  ASSERT_EQ(set->size(), 4);
  const std::vector<int> levels{40, 30, 10, 20}, labels{0, 1, 2, 2};
  for (std::int64_t i = 0; i < 4; ++i) {
    const Sample sample = set->get(i);
    EXPECT_EQ(sample.label, labels[static_cast<std::size_t>(i)]);
    EXPECT_EQ(sample.image.extent, (ImageExtent{5, 7, 3}));
    EXPECT_NEAR(sample.image.at(2, 3, 1), levels[static_cast<std::size_t>(i)], 1);
  }
  EXPECT_NE(set->sample_name(1).find("train/cat/deep/z.jpg"), std::string::npos);
  EXPECT_EQ(set->extent(), (ImageExtent{0, 0, 3}));
  EXPECT_TRUE(set->decodes());
  EXPECT_THROW(set->get(4), Error);
}

TEST(ImageFolder, ReadsTheRootItself) {
  const TempFolder folder;
  folder.write("a/1.jpg", grey_jpeg(1));
  EXPECT_EQ(open_image_folder(folder.path(), "")->size(), 1);
  EXPECT_EQ(open_dataset("image-folder", folder.path(), "")->size(), 1);
}

TEST(ImageFolder, HeldOutSplitGoesByThreeNames) {
  for (const char* name : {"val", "test", "validation"}) {
    const TempFolder folder;
    folder.write(std::string(name) + "/a/1.jpg", grey_jpeg(1));
    EXPECT_EQ(open_dataset("image_folder", folder.path(), "val")->size(), 1) << name;
  }
}

TEST(ImageFolder, TheSplitThatIsNamedComesBeforeTheOthers) {
  const TempFolder folder;
  folder.write("val/a/1.jpg", grey_jpeg(1));
  folder.write("test/a/1.jpg", grey_jpeg(1));
  folder.write("test/a/2.jpg", grey_jpeg(1));
  EXPECT_EQ(open_dataset("image_folder", folder.path(), "val")->size(), 1);
  EXPECT_EQ(open_dataset("image_folder", folder.path(), "test")->size(), 2);
}

TEST(ImageFolder, ClassNamesAreText) {
  const auto open = [](const std::string& name) {
    const TempFolder folder;
    folder.write(name + "/1.jpg", grey_jpeg(1));
    return open_image_folder(folder.path(), "")->class_names().at(0);
  };
  for (const char* name : {"two words", "\u00e9", "\u732b", "\U0001f600", "\u07ff\U0010ffff"}) {
    EXPECT_EQ(open(name), name);
  }
  for (const char* name : {"\xff", "a\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80",
                           "\xf4\x90\x80\x80", "\xe7\x8cx"}) {
    expect_data_error([&] { open(name); }, {"UTF-8", "\\x"});
  }
}

TEST(ImageFolder, SaysWhatIsMissing) {
  const TempFolder folder;
  const auto open = [&](const std::string& split) { open_image_folder(folder.path(), split); };
  expect_data_error([&] { open("train"); },
                    {folder.path().string() + "/train", "train.pack beside it, found nothing"});
  expect_data_error([&] { open(""); }, {"a folder per class, found none"});
  folder.write("flat/1.jpg", grey_jpeg(1));
  expect_data_error([&] { open("flat"); }, {"only files"});
  folder.write("train/dog/1.jpg", grey_jpeg(1));
  std::filesystem::create_directories(folder.path() / "train/emu");
  folder.write("train/fox/note.txt", Bytes{'x'});
  expect_data_error([&] { open("train"); }, {"2 empty: emu, fox"});
  folder.write("file", Bytes{'x'});
  expect_data_error([&] { open("file"); }, {"found a file"});
}

TEST(ImageFolder, ComparesClassesWithTheOtherSplit) {
  const TempFolder folder;
  folder.write("val/cat/1.jpg", grey_jpeg(1));
  folder.write("val/emu/1.jpg", grey_jpeg(1));
  EXPECT_NO_THROW(open_image_folder(folder.path(), "val", {"cat", "emu"}));
  expect_data_error(
      [&] {
        open_image_folder(folder.path(), "val", {"cat", "dog"});
      },
      {"missing dog", "not known emu"});
}

TEST(ImageFolder, NamesTheBadFileAndTheCause) {
  const TempFolder folder;
  Bytes cut = grey_jpeg(9, 64, 64);
  cut.resize(cut.size() / 2);
  folder.write("a/1.jpg", cut);
  folder.write("a/2.jpg", Bytes{'G', 'I', 'F', '8', '9', 'a', 0, 0});
  folder.write("a/3.jpg", Bytes{});
  folder.write("a/4.jpg", grey_jpeg(1));
  const auto set = open_image_folder(folder.path(), "");
  std::filesystem::remove(folder.path() / "a/4.jpg");
  expect_data_error([&] { set->get(0); }, {"a/1.jpg", "damaged"});
  expect_data_error([&] { set->get(1); }, {"a/2.jpg", "found GIF"});
  expect_data_error([&] { set->get(2); }, {"a/3.jpg", "empty"});
  expect_data_error([&] { set->get(3); }, {"a/4.jpg", "cannot be opened"});
}

// A worker keeps its memory from sample to sample; a small file after a large one leaves it alone.
TEST(ImageFolder, StoredBytesAreTheFilesInTheCallersMemory) {
  const TempFolder folder;
  const Bytes large = grey_jpeg(9, 64, 64), small = grey_jpeg(8);
  folder.write("a/1.jpg", large);
  folder.write("a/2.jpg", small);
  const auto set = open_image_folder(folder.path() / "", "", {}, {.max_file_bytes = large.size()});
  Bytes scratch;
  for (int round = 0; round < 2; ++round) {
    const Stored first = set->stored(0, scratch);
    const std::uint8_t* memory = scratch.data();
    EXPECT_EQ(Bytes(first.bytes.begin(), first.bytes.end()), large);
    EXPECT_TRUE(first.is_file());
    const Stored second = set->stored(1, scratch);
    EXPECT_EQ(Bytes(second.bytes.begin(), second.bytes.end()), small);
    EXPECT_EQ(second.bytes.data(), memory);
  }
  std::string name = "before";
  set->sample_name(1, name);
  EXPECT_EQ(name, (folder.path() / "a/2.jpg").string());
  EXPECT_THROW(set->stored(2, scratch), Error);
  const auto strict =
      open_image_folder(folder.path(), "", {}, {.max_file_bytes = large.size() - 1});
  expect_data_error([&] { strict->stored(0, scratch); }, {"a/1.jpg", "expected at most"});
  EXPECT_NO_THROW(strict->stored(1, scratch));
}

// After the set was opened, a class folder can turn into anything.
TEST(ImageFolder, StoredIsOfARegularFile) {
  const TempFolder folder;
  const auto file = folder.write("a/1.jpg", grey_jpeg(9));
  const auto set = open_image_folder(folder.path(), "");
  std::filesystem::remove(file);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  Bytes scratch;
  expect_data_error([&] { set->stored(0, scratch); }, {"a/1.jpg", "regular file", "pipe"});
}

TEST(ImageFolder, RefusesWhatIsNoRegularFile) {
  const TempFolder folder;
  const auto pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expect_data_error([&] { read_file(pipe, 100); }, {"regular file", "pipe"});
  expect_data_error([&] { read_file(folder.path(), 100); }, {"a directory"});
  expect_data_error([&] { read_file("/dev/zero", 100); }, {"regular file"});
  const auto big = folder.write("big", Bytes(101));
  expect_data_error([&] { read_file(big, 100); }, {"at most 100", "has 101"});
}

TEST(ImageFolderData, EveryPhotoDecodesButTheGif) {
  const auto folder = testing::shared_data("photos");
  SKIP_WITHOUT(folder, "photos");
  const auto set = open_dataset("image_folder", folder, "val");
  const auto train = open_dataset("image_folder", folder, "train", set->class_names());
  EXPECT_EQ(set->num_classes(), 8);
  EXPECT_EQ(set->size(), 5 * 8 + 3 * 20);
  EXPECT_EQ(train->size(), 5 * 32 + 3 * 60);
  for (const auto* split : {set.get(), train.get()}) {
    for (std::int64_t i = 0; i < split->size(); ++i) {
      const std::string name = split->sample_name(i);
      if (name.ends_with("Abyssinian_34.jpg")) {
        expect_data_error([&] { split->get(i); }, {"Abyssinian_34.jpg", "found GIF"});
      } else {
        EXPECT_GE(split->get(i).image.extent.width, 100) << name;
      }
    }
  }
}

}  // namespace
}  // namespace convoy::data
