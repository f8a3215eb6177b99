// SPDX-License-Identifier: MIT
#include "data/pack.h"

#include <cstddef>
#include <limits>
#include <thread>

#include "data/catalog.h"
#include "data/pack_view.h"
#include "tests/data/pack_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;
using testing::TempFolder;
using testing::tiny_pack;

// Everything that a pack says, or the error.
std::string read_all(const Bytes& file) try {
  const PackView view(file, "p");
  for (std::int64_t i = 0; i < view.size(); ++i) view.check_record(i);
  return "";
} catch (const Error& error) {
  EXPECT_EQ(error.kind(), ErrorKind::data) << error.what();
  EXPECT_TRUE(std::string(error.what()).starts_with("p: ")) << error.what();
  return error.what();
}

TEST(Pack, HoldsWhatWasPacked) {
  const TempFolder folder;
  const auto source = testing::jpeg_folder(folder, 7);
  write_pack(*source, folder.path() / "train.pack", testing::below_set(folder));
  const auto pack = open_pack(folder.path() / "train.pack", "train", {"cat", "dog"});
  EXPECT_EQ(pack->class_names(), source->class_names());
  EXPECT_EQ(pack->extent(), (ImageExtent{0, 0, 3}));
  EXPECT_TRUE(pack->decodes());
  EXPECT_TRUE(pack->warnings().empty());
  ASSERT_EQ(pack->size(), 7);
  Bytes scratch;
  for (std::int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(pack->label(i), source->label(i));
    EXPECT_EQ(pack->get(i).image.pixels, source->get(i).image.pixels);
    const Stored stored = pack->stored(i, scratch);
    EXPECT_EQ(Bytes(stored.bytes.begin(), stored.bytes.end()),
              testing::file_bytes(source->sample_name(i)));
    EXPECT_TRUE(stored.is_file());
  }
  EXPECT_TRUE(scratch.empty()) << "records are read where they are";
  EXPECT_EQ(pack->sample_name(1), (folder.path() / "train.pack: cat/002.jpg").string());
  for (const std::int64_t bad : {-1, 7}) {
    EXPECT_THROW(pack->stored(bad, scratch), Error);
    EXPECT_THROW(pack->label(bad), Error);
    EXPECT_THROW(pack->sample_name(bad), Error);
  }
}

TEST(Pack, OfPixelsHasTheirExtent) {
  const TempFolder folder;
  const Bytes bytes = tiny_pack(folder);
  const auto pack = open_pack(folder.path() / "tiny.pack");
  EXPECT_EQ(pack->extent(), (ImageExtent{2, 3, 1}));
  EXPECT_FALSE(pack->decodes());
  EXPECT_EQ(pack->get(1).image.pixels, (Bytes{11, 12, 13, 14, 15, 16}));
  EXPECT_EQ(pack->get(1).label, 0);
  EXPECT_EQ(pack_source(folder.path() / "tiny.pack").dataset, "mnist");
  EXPECT_EQ(PackView(bytes, "p").sample_name(2), "images[2]");
}

TEST(Pack, IsReadByManyThreads) {
  const TempFolder folder;
  const auto source = testing::jpeg_folder(folder, 9);
  write_pack(*source, folder.path() / "train.pack", testing::below_set(folder));
  const auto pack = open_pack(folder.path() / "train.pack");
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (std::int64_t i = 0; i < 9; ++i) EXPECT_EQ(pack->get(i).label, source->label(i));
    });
  }
}

TEST(Pack, EveryTruncationIsSeenAtOpening) {
  const TempFolder folder;
  const Bytes whole = tiny_pack(folder);
  ASSERT_EQ(read_all(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(PackView(cut, "p"), Error) << size;
  }
  for (const int more : {0, 80}) {
    Bytes longer = whole;
    longer.push_back(static_cast<std::uint8_t>(more));
    EXPECT_NE(read_all(longer), "");
  }
  EXPECT_NE(read_all(Bytes(whole.begin(), whole.end() - 1)).find("cut off"), std::string::npos);
}

TEST(Pack, EveryFlippedBitIsSeen) {
  const TempFolder folder;
  const Bytes whole = tiny_pack(folder);
  int at_opening = 0, in_a_record = 0;
  for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
    Bytes file = whole;
    file[bit / 8] = static_cast<std::uint8_t>(file[bit / 8] ^ 1 << bit % 8);
    const std::string error = read_all(file);
    ASSERT_NE(error, "") << "bit " << bit;
    const bool record = error.find("p: record ") == 0;
    ++(record ? in_a_record : at_opening);
    if (record) {
      EXPECT_NE(error.find(fmt::format("(images[{}])", (bit / 8 - 64) / 64)), std::string::npos)
          << error;
    }
  }
  EXPECT_EQ(in_a_record, 3 * 64 * 8);
  EXPECT_EQ(at_opening + in_a_record, static_cast<int>(8 * whole.size()));
}

// A record that is damaged spoils its own sample, each time that it is asked for.
TEST(Pack, ADamagedRecordIsNamedAndTheOthersAreRead) {
  const TempFolder folder;
  Bytes file = tiny_pack(folder);
  file[64 + 64 + 40] ^= 4;
  const auto pack = open_pack(folder.write("damaged.pack", file));
  Bytes scratch;
  for (int again = 0; again < 2; ++again) {
    expect_data_error([&] { pack->stored(1, scratch); },
                      {"damaged.pack", "record 1 (images[1])", "offset 128", "CRC-32C"});
    EXPECT_NO_THROW(pack->stored(0, scratch));
  }
}

// Changes a pack and makes its checksums right again, as someone who means harm would.
struct Forged {
  PackHeader header;
  std::vector<PackEntry> entries;
  Bytes names, texts;  // texts with their lengths
  PackFooter footer;
  Bytes records;

  explicit Forged(const Bytes& file)
      : header(read_as<PackHeader>(file, 0)),
        footer(read_as<PackFooter>(file, file.size() - sizeof(PackFooter))) {
    const auto part = [&](std::uint64_t from, std::uint64_t bytes) {
      const auto begin = file.begin() + static_cast<std::ptrdiff_t>(from);
      return Bytes(begin, begin + static_cast<std::ptrdiff_t>(bytes));
    };
    records = part(sizeof header, footer.index_offset - sizeof header);
    for (std::uint64_t i = 0; i < footer.records; ++i) {
      entries.push_back(read_as<PackEntry>(file, footer.index_offset + i * sizeof(PackEntry)));
    }
    const std::uint64_t at = footer.index_offset + entries.size() * sizeof(PackEntry);
    names = part(at, footer.name_bytes);
    texts = part(at + footer.name_bytes, file.size() - sizeof footer - at - footer.name_bytes);
  }

  Bytes file() {
    header.crc = crc_before(header, offsetof(PackHeader, crc));
    Bytes index, out;
    const auto add = [](Bytes& to, std::span<const std::uint8_t> bytes) {
      to.insert(to.end(), bytes.begin(), bytes.end());
    };
    for (const PackEntry& e : entries) add(index, bytes_of(e));
    add(index, names);
    add(index, texts);
    footer.index_crc = crc_of(index);
    footer.crc = crc_before(footer, offsetof(PackFooter, crc));
    add(out, bytes_of(header));
    add(out, records);
    add(out, index);
    add(out, bytes_of(footer));
    return out;
  }
};

TEST(Pack, NumbersThatDoNotFitAreRefusedThoughTheChecksumsDo) {
  const TempFolder folder;
  const Bytes whole = tiny_pack(folder);
  EXPECT_EQ(Forged(whole).file(), whole);
  const auto expect_refused = [&](const std::function<void(Forged&)>& change,
                                  const std::string& part) {
    Forged forged(whole);
    change(forged);
    const std::string error = read_all(forged.file());
    EXPECT_NE(error.find(part), std::string::npos) << part << ": " << error;
  };
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  expect_refused([](Forged& f) { f.header.version = 2; }, "version 1");
  expect_refused([](Forged& f) { f.header.channels = 2; }, "1 or 3 channels");
  expect_refused([](Forged& f) { f.header.channels = 3; }, "pixels of 3 channels");
  expect_refused([](Forged& f) { f.header.zero[7] = 1; }, "offset 12");
  expect_refused([](Forged& f) { f.header.planned = 2; }, "at most 2 records");
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{4}, kHuge / 40 + 1, kHuge}) {
    expect_refused(
        [n](Forged& f) {
          f.header.planned = kHuge;
          f.footer.records = n;
        },
        "p: ");
  }
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{320}, kHuge}) {
    expect_refused([n](Forged& f) { f.footer.index_offset = n; }, "expected an index");
  }
  expect_refused([](Forged& f) { f.footer.index_bytes = kHuge; }, "expected an index");
  expect_refused([](Forged& f) { f.footer.file_bytes += 1; }, "expected a file of");
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{2}, kHuge / 4 + 1, kHuge}) {
    expect_refused([n](Forged& f) { f.footer.texts = n; }, "p: ");
  }
  for (const std::uint64_t n : {std::uint64_t{26}, std::uint64_t{28}, kHuge}) {
    expect_refused([n](Forged& f) { f.footer.name_bytes = n; }, "p: ");
  }
  for (const std::uint64_t n : {std::uint64_t{0}, std::uint64_t{64}, std::uint64_t{129}, kHuge}) {
    expect_refused([n](Forged& f) { f.entries[1].offset = n; }, "expected to start at 128");
  }
  for (const std::uint64_t n : {std::uint64_t{33}, std::uint64_t{1000}, kHuge - 31, kHuge}) {
    expect_refused([n](Forged& f) { f.entries[2].bytes = n; }, "record 2");
  }
  expect_refused([](Forged& f) { f.entries[2].bytes = 7; }, "in 7 bytes");
  expect_refused([](Forged& f) { f.entries[0].label = 2; }, "label expects 0 to 1, found 2");
  expect_refused([](Forged& f) { f.entries[0].label = 1u << 31; }, "label expects");
  expect_refused([](Forged& f) { f.entries[1].height = 0; }, "record 1");
  expect_refused([](Forged& f) { f.entries[1].zero = 1; }, "record 1");
  expect_refused([](Forged& f) { f.entries[0].name_end = kHuge; }, "record 0: its name");
  expect_refused([](Forged& f) { f.entries[1].name_end = 8; }, "record 1: its name");
  expect_refused([](Forged& f) { f.entries[2].name_end -= 1; }, "26");
  expect_refused([](Forged& f) { f.names[0] = '/'; }, "starts with a slash");
  expect_refused([](Forged& f) { f.names[9] = 0; }, "record 1: its name");
  // Lengths of the texts: 5, 5, 3, 3.
  expect_refused([](Forged& f) { f.texts[0] = 255; }, "text 0");
  expect_refused([](Forged& f) { f.texts[15] = 255; }, "text 3");
  expect_refused([](Forged& f) { f.texts[12] = 2; }, "expected texts up to");
  expect_refused([](Forged& f) { f.texts[16] = '\n'; }, "text 0");
  // The record has other numbers than the index, its own checksum being right.
  expect_refused(
      [](Forged& f) {
        f.records[8] = 5;
        const std::uint32_t crc = crc_of(std::span(f.records).subspan(4, 60));
        std::memcpy(f.records.data(), &crc, 4);
        f.entries[0].crc = crc;
      },
      "other numbers");
}

TEST(Pack, OtherFilesAreToldApart) {
  const TempFolder folder;
  expect_data_error([&] { open_pack(folder.path() / "none"); }, {"none", "cannot be opened"});
  expect_data_error([&] { open_pack(folder.path()); }, {"regular file"});
  expect_data_error([&] { open_pack(folder.write("empty", Bytes{})); }, {"at least 128 bytes"});
  expect_data_error([&] { open_pack(folder.write("zip", Bytes(200, 'P'))); }, {"no pack"});
  EXPECT_FALSE(is_pack(folder.path() / "zip"));
  EXPECT_FALSE(is_pack(folder.path() / "none"));
  EXPECT_FALSE(is_pack(folder.path()));
  tiny_pack(folder);
  EXPECT_TRUE(is_pack(folder.path() / "tiny.pack"));
}

TEST(Pack, OfAnotherSplitOrOtherClassesIsRefused) {
  const TempFolder folder;
  tiny_pack(folder);
  const auto path = folder.path() / "tiny.pack";
  EXPECT_NO_THROW(open_pack(path, "train", {"cat", "dog"}));
  expect_data_error([&] { open_pack(path, "val"); },
                    {"expected a pack of val, found one of train"});
  expect_data_error([&] { open_pack(path, "train", {"cat", "emu"}); }, {"classes"});
}

TEST(Pack, IsFoundByTheCatalog) {
  const TempFolder folder;
  const auto source = testing::jpeg_folder(folder, 5);
  PackOptions options = testing::below_set(folder);
  std::filesystem::create_directories(folder.path() / "packs/train/x");
  write_pack(*source, folder.path() / "packs/train.pack", options);
  options.split = "test";
  options.limit = 2;
  write_pack(*source, folder.path() / "packs/test.pack", options);
  const auto packs = folder.path() / "packs";
  EXPECT_EQ(guess_dataset(packs), "image_folder");
  const auto train = open_dataset("image_folder", packs, "train");
  EXPECT_EQ(train->size(), 5);
  ASSERT_EQ(train->warnings().size(), 1u);
  EXPECT_NE(train->warnings()[0].find("train.pack is read"), std::string::npos);
  EXPECT_EQ(open_dataset("image_folder", packs, "val", train->class_names())->size(), 2);
  EXPECT_EQ(open_dataset("cifar10", packs / "test.pack", "test")->size(), 2);
  tiny_pack(folder);
  EXPECT_EQ(guess_dataset(folder.path() / "tiny.pack"), "mnist");
}

}  // namespace
}  // namespace convoy::data
