// SPDX-License-Identifier: MIT
#include "data/pack_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>

#include "data/pack_view.h"
#include "data/resize.h"
#include "tests/data/pack_files.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;
using testing::below_set;
using testing::Bytes;
using testing::expect_data_error;
using testing::expect_error;
using testing::file_bytes;
using testing::jpeg_folder;
using testing::TempFolder;

constexpr PackFormat kFormats[] = {PackFormat::keep, PackFormat::jpeg, PackFormat::raw};

PackOptions options_of(const TempFolder& folder, PackFormat format) {
  PackOptions options = below_set(folder, format);
  options.size = format == PackFormat::keep ? 0 : 11;
  return options;
}

TEST(PackWriter, WorkersDoNotChangeAByte) {
  const TempFolder folder;
  const auto source = jpeg_folder(folder, 23);
  for (const PackFormat format : kFormats) {
    Bytes first;
    for (const int workers : {0, 1, 2, 5}) {
      PackOptions options = options_of(folder, format);
      options.workers = workers;
      const fs::path path = folder.path() / "out.pack";
      const PackSummary summary = write_pack(*source, path, options);
      EXPECT_TRUE(summary.complete);
      EXPECT_EQ(summary.records, 23);
      const Bytes bytes = file_bytes(path);
      EXPECT_EQ(summary.bytes, bytes.size());
      if (first.empty()) first = bytes;
      EXPECT_TRUE(bytes == first) << workers;
      fs::remove(path);
      EXPECT_FALSE(fs::exists(path.string() + ".part"));
    }
  }
}

TEST(PackWriter, MakesPicturesSmallerAsTheirResizeDoes) {
  const TempFolder folder;
  folder.write("set/a/1.jpg", encode_jpeg(testing::patterned(30, 50, 1), 90));
  folder.write("set/a/2.jpg", encode_jpeg(testing::patterned(44, 17, 2), 90));
  folder.write("set/a/3.jpg", encode_jpeg(testing::patterned(8, 9, 3), 90));
  const auto source = open_image_folder(folder.path() / "set", "");
  for (const PackFormat format : {PackFormat::raw, PackFormat::jpeg}) {
    const fs::path path = folder.path() / "out.pack";
    write_pack(*source, path,
               {.root = folder.path() / "set", .format = format, .size = 12, .quality = 70});
    const auto pack = open_pack(path);
    const ImageExtent extents[] = {{12, 20, 3}, {31, 12, 3}, {8, 9, 3}};
    for (std::int64_t i = 0; i < 3; ++i) {
      const ImageExtent& e = extents[i];
      const Image full = source->get(i).image;
      Image expected =
          resize_bilinear(full, {whole(full.extent), e.height, e.width, 0, 0}, e.height, e.width);
      Bytes scratch;
      const Stored stored = pack->stored(i, scratch);
      const Bytes found(stored.bytes.begin(), stored.bytes.end());
      EXPECT_EQ(stored.extent, format == PackFormat::raw ? e : ImageExtent{});
      EXPECT_EQ(found, format == PackFormat::raw ? expected.pixels : encode_jpeg(expected, 70));
    }
    fs::remove(path);
  }
}

TEST(PackWriter, ALimitIsSpreadOverTheClasses) {
  const TempFolder folder;
  const auto source = jpeg_folder(folder, 10);
  PackOptions options = below_set(folder);
  options.limit = 4;
  write_pack(*source, folder.path() / "out.pack", options);
  const auto pack = open_pack(folder.path() / "out.pack");
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < pack->size(); ++i) names.push_back(pack->sample_name(i));
  const std::string start = (folder.path() / "out.pack: ").string();
  EXPECT_EQ(names, (std::vector<std::string>{start + "cat/000.jpg", start + "cat/004.jpg",
                                             start + "dog/001.jpg", start + "dog/005.jpg"}));
}

class Resumed : public ::testing::Test {
 protected:
  Resumed() : source_(jpeg_folder(folder_, 6)) {
    write_pack(*source_, folder_.path() / "whole.pack", below_set(folder_));
    whole_ = file_bytes(folder_.path() / "whole.pack");
  }
  // Stops after `count` records.
  PackSummary write(std::int64_t count, int workers = 0) {
    PackOptions options = below_set(folder_);
    options.workers = workers;
    return write_pack(*source_, out_, options,
                      [&](const PackProgress& p) { return p.done < count; });
  }
  // The rest; the result must be that of a run that was not stopped.
  std::int64_t finish() {
    const PackSummary summary = write(100);
    EXPECT_TRUE(summary.complete);
    EXPECT_TRUE(file_bytes(out_) == whole_);
    fs::remove(out_);
    return summary.kept;
  }
  Bytes part() { return file_bytes(part_); }

  TempFolder folder_;
  std::unique_ptr<Dataset> source_;
  Bytes whole_;
  fs::path out_ = folder_.path() / "out.pack", part_ = folder_.path() / "out.pack.part";
};

TEST_F(Resumed, AfterAnyRecordGoesOn) {
  for (const int workers : {0, 3}) {
    for (std::int64_t count = 1; count < 6; ++count) {
      EXPECT_FALSE(write(count, workers).complete);
      EXPECT_FALSE(fs::exists(out_));
      EXPECT_EQ(finish(), count);
    }
  }
}

TEST_F(Resumed, FromAnyPrefixOfTheFileEndsTheSame) {
  std::int64_t kept = 0;
  for (std::size_t size = 0; size <= whole_.size(); size += size < 150 ? 1 : 53) {
    folder_.write("out.pack.part", std::span(whole_).first(size));
    const std::int64_t now = finish();
    EXPECT_GE(now, kept) << size;
    kept = now;
  }
  EXPECT_EQ(kept, 6);
}

TEST_F(Resumed, ADamagedRecordAndThoseBehindItAreWrittenAgain) {
  ASSERT_FALSE(write(5).complete);
  const Bytes five = part();
  const std::size_t sizes[] = {0, 1, 2, 3, 4};
  for (const std::size_t record : sizes) {
    const auto at = static_cast<std::size_t>(
        PackView(whole_, "whole").stored(static_cast<std::int64_t>(record)).bytes.data() -
        whole_.data());
    for (const std::size_t byte : {at - 32, at - 24, at - 16, at, at + 100}) {
      Bytes damaged = five;
      damaged[byte] ^= 0x10;
      folder_.write("out.pack.part", damaged);
      EXPECT_EQ(finish(), static_cast<std::int64_t>(record)) << byte;
    }
  }
}

TEST_F(Resumed, ARecordThatIsThereTwiceCountsOnce) {
  ASSERT_FALSE(write(1).complete);
  Bytes twice = part();
  const Bytes record(twice.begin() + 64, twice.end());
  twice.insert(twice.end(), record.begin(), record.end());
  folder_.write("out.pack.part", twice);
  EXPECT_EQ(finish(), 1);
}

TEST_F(Resumed, ASampleThatChangedSinceIsReadAgain) {
  ASSERT_FALSE(write(4).complete);
  const Bytes other = encode_jpeg(testing::patterned(13, 13, 99), 80);
  const auto changed = folder_.write("set/cat/004.jpg", other);
  fs::last_write_time(changed, fs::last_write_time(part_) + std::chrono::seconds(1));
  const PackSummary summary = write(100);
  EXPECT_EQ(summary.kept, 2);
  Bytes scratch;
  const auto pack = open_pack(out_);
  const Stored stored = pack->stored(2, scratch);
  EXPECT_EQ(Bytes(stored.bytes.begin(), stored.bytes.end()), other);
}

TEST_F(Resumed, WhatIsNotThisPackIsLeftAlone) {
  ASSERT_FALSE(write(2).complete);
  const Bytes before = part();
  PackOptions options = below_set(folder_, PackFormat::raw);
  expect_error(ErrorKind::usage, [&] { write_pack(*source_, out_, options); },
               {"out.pack.part", "other options"});
  options = below_set(folder_);
  options.limit = 3;
  expect_error(ErrorKind::usage, [&] { write_pack(*source_, out_, options); }, {"other options"});
  EXPECT_TRUE(part() == before);
  const int held = ::open(part_.c_str(), O_RDWR);
  ASSERT_EQ(::flock(held, LOCK_EX), 0);
  expect_error(ErrorKind::usage, [&] { write(100); }, {"another process"});
  ::close(held);
  EXPECT_EQ(finish(), 2);
  folder_.write("out.pack.part", Bytes(100, 'x'));
  expect_error(ErrorKind::usage, [&] { write(100); }, {"another file"});
  EXPECT_EQ(part(), Bytes(100, 'x'));
}

TEST(PackWriter, BadSamplesStopItOrAreLeftOut) {
  const TempFolder folder;
  jpeg_folder(folder, 8);
  const auto bad = folder.write("set/cat/003.jpg", Bytes{'G', 'I', 'F', '8', '9', 'a'});
  const auto source = open_image_folder(folder.path() / "set", "");
  PackOptions options = below_set(folder, PackFormat::raw);
  const fs::path path = folder.path() / "out.pack";
  expect_data_error([&] { write_pack(*source, path, options); }, {"cat/003.jpg", "found GIF"});
  options.skip_bad = true;
  // What is good does not depend on when the run was stopped.
  Bytes first;
  for (std::int64_t stop_at = 1; stop_at <= 9; ++stop_at) {
    write_pack(*source, path, options, [&](const PackProgress& p) { return p.done < stop_at; });
    if (!fs::exists(path)) {
      const PackSummary summary = write_pack(*source, path, options);
      EXPECT_EQ(summary.records, 8);
      ASSERT_EQ(summary.skipped.size(), 1u) << stop_at;
      EXPECT_NE(summary.skipped[0].find("cat/003.jpg"), std::string::npos);
    }
    const Bytes bytes = file_bytes(path);
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << stop_at;
    fs::remove(path);
  }
}

TEST(PackWriter, LinksThatLeadOutOfTheFolderAreRefused) {
  const TempFolder folder;
  jpeg_folder(folder, 4);
  const Bytes picture = encode_jpeg(testing::patterned(9, 9, 1), 80);
  fs::create_symlink("000.jpg", folder.path() / "set/cat/inside.jpg");
  const fs::path out = folder.path() / "out.pack";
  const auto write = [&] {
    fs::remove(out);
    write_pack(*open_image_folder(folder.path() / "set", ""), out, below_set(folder));
  };
  EXPECT_NO_THROW(write());
  const auto secret = folder.write("secret.jpg", picture);
  fs::create_symlink(secret, folder.path() / "set/dog/absolute.jpg");
  expect_data_error(write, {"lead out", "1: dog/absolute.jpg"});
  fs::remove(folder.path() / "set/dog/absolute.jpg");
  fs::create_symlink("../../secret.jpg", folder.path() / "set/dog/relative.jpg");
  expect_data_error(write, {"1: dog/relative.jpg"});
  fs::remove(folder.path() / "set/dog/relative.jpg");
  // A folder whose name begins like the root's is another folder.
  folder.write("set-2/x.jpg", picture);
  fs::create_symlink("../../set-2/x.jpg", folder.path() / "set/dog/near.jpg");
  expect_data_error(write, {"1: dog/near.jpg"});
  fs::remove(folder.path() / "set/dog/near.jpg");
  folder.write("set/dog/line\nbreak.jpg", picture);
  expect_data_error(write, {"line\\x0abreak.jpg", "control"});
  EXPECT_FALSE(fs::exists(out));
}

TEST(PackWriter, OptionsThatDoNotFitAreRefused) {
  const TempFolder folder;
  const auto source = jpeg_folder(folder, 2);
  const auto refused = [&](PackOptions options, const std::string& part) {
    expect_error(ErrorKind::usage,
                 [&] { write_pack(*source, folder.path() / "out.pack", options); }, {part});
  };
  refused({.size = 12}, "--size");
  refused({.format = PackFormat::raw, .size = -1}, "--size");
  refused({.format = PackFormat::jpeg, .quality = 0}, "--quality");
  refused({.format = PackFormat::jpeg, .quality = 101}, "--quality");
  refused({.limit = -1}, "--limit");
  folder.write("out.pack", Bytes{1});
  refused({}, "expected a new file");
  expect_error(ErrorKind::usage, [&] { write_pack(*source, folder.path() / "no/out.pack", {}); },
               {"no"});
}

}  // namespace
}  // namespace convoy::data
