// SPDX-License-Identifier: MIT
#include "nn/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "tests/support/errors.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn {
namespace {

using ::convoy::testing::error_of;
using ::convoy::testing::expect_says;
using ::convoy::testing::file_text;
using ::convoy::testing::TemporaryFolder;
using ::convoy::testing::write_text;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// What safetensors.torch.save_file (safetensors 0.8.0) wrote for the tensors of the next test.
const char* const kReferenceJson =
    R"({"__metadata__":{"format":"pt"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
    R"("a.bias":{"dtype":"F32","shape":[2],"data_offsets":[8,16]},)"
    R"("b.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[16,40]},)"
    R"("e":{"dtype":"F32","shape":[0,3],"data_offsets":[40,40]},)"
    R"("h":{"dtype":"F16","shape":[1],"data_offsets":[40,42]},)"
    R"("u":{"dtype":"U8","shape":[3],"data_offsets":[42,45]},)"
    "\"q\\\"\\\\\\n\xc3\xa9\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[45,47]}}   ";
const unsigned char kReferenceData[] = {7, 0, 0,    0,    0, 0,    0,    0,    0, 0, 0x80, 0x3f,
                                        0, 0, 0,    0xc0, 0, 0,    0,    0,    0, 0, 0x80, 0x3f,
                                        0, 0, 0,    0x40, 0, 0,    0x40, 0x40, 0, 0, 0x80, 0x40,
                                        0, 0, 0xa0, 0x40, 0, 0x3e, 1,    2,    3, 1, 0};

std::string reference_file() {
  std::string file("\xb8\x01\0\0\0\0\0\0", 8);
  file += kReferenceJson;
  return file.append(reinterpret_cast<const char*>(kReferenceData), sizeof kReferenceData);
}

TEST(Safetensors, WritesTheReferenceWritersBytes) {
  const TemporaryFolder folder;
  const std::vector<float> weight{0, 1, 2, 3, 4, 5}, bias{1, -2};
  const std::vector<std::int64_t> scalar{7};
  const std::vector<std::uint16_t> half{0x3e00};
  const std::vector<std::uint8_t> bytes{1, 2, 3}, flags{1, 0};
  const WrittenFile written =
      write_safetensors(folder / "w",
                        {{"b.weight", StoredType::F32, {2, 3}, bytes_of(weight)},
                         {"a.bias", StoredType::F32, {2}, bytes_of(bias)},
                         {"n", StoredType::I64, {}, bytes_of(scalar)},
                         {"h", StoredType::F16, {1}, bytes_of(half)},
                         {"q\"\\\n\u00e9", StoredType::BOOL, {2}, bytes_of(flags)},
                         {"e", StoredType::F32, {0, 3}, {}},
                         {"u", StoredType::U8, {3}, bytes_of(bytes)}},
                        {{"format", "pt"}});
  EXPECT_EQ(file_text(folder / "w"), reference_file());
  EXPECT_EQ(written.bytes, reference_file().size());
}

TEST(Safetensors, ReadsTheReferenceWritersFile) {
  const TemporaryFolder folder;
  write_text(folder / "w", reference_file());
  const SafetensorsReader reader(folder / "w", Strictness::strict);
  EXPECT_EQ(reader.header().metadata.at("format"), "pt");
  ASSERT_EQ(reader.header().tensors.size(), 7u);
  const auto raw = reader.read(reader.entry("b.weight"));
  std::vector<float> weight(6);
  std::memcpy(weight.data(), raw.data(), raw.size());
  EXPECT_EQ(weight, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(reader.entry("b.weight").shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(reader.read(reader.entry("q\"\\\n\u00e9")), (std::vector{std::byte{1}, std::byte{0}}));
  EXPECT_EQ(reader.entry("e").bytes(), 0u);
  expect_says(error_of([&] { reader.entry("c"); }), "expected a tensor \"c\"");
}

TEST(Safetensors, EqualContentGivesEqualFiles) {
  const TemporaryFolder folder;
  const std::vector<double> x{1, 2};
  const std::vector<std::uint8_t> y{3};
  const StoredTensor a{"a", StoredType::F64, {2}, bytes_of(x)},
      b{"b", StoredType::U8, {1}, bytes_of(y)};
  write_safetensors(folder / "1", {a, b}, {{"k", "1"}, {"l", "2"}});
  write_safetensors(folder / "2", {b, a}, {{"l", "2"}, {"k", "1"}});
  EXPECT_EQ(file_text(folder / "1"), file_text(folder / "2"));
  EXPECT_EQ(file_text(folder / "1").size() % 8, 1u);  // the header is padded, then 17 bytes
}

TEST(Safetensors, WriterRefusesWhatTheReaderWould) {
  const TemporaryFolder folder;
  const std::vector<std::uint8_t> y{3};
  const auto write = [&](std::vector<StoredTensor> tensors) {
    return error_of([&] { write_safetensors(folder / "w", std::move(tensors)); });
  };
  const StoredTensor good{"a", StoredType::U8, {1}, bytes_of(y)};
  expect_says(write({good, good}), "\"a\" stands twice");
  expect_says(write({{"", StoredType::U8, {1}, bytes_of(y)}}), "cannot name");
  expect_says(write({{"__metadata__", StoredType::U8, {1}, bytes_of(y)}}), "cannot name");
  expect_says(write({{"a", StoredType::F32, {1}, bytes_of(y)}}), "expects 4 bytes, found 1");
  expect_says(write({{"\xff", StoredType::U8, {1}, bytes_of(y)}}), "UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, OnlyRegularFilesAreRead) {
  const TemporaryFolder folder;
  const auto open = [&](const std::filesystem::path& path) {
    return error_of([&] { SafetensorsReader reader(path); });
  };
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  expect_says(open(folder / "pipe"), "expected a regular file, found a pipe");
  expect_says(open(folder.path()), "found a folder");
  expect_says(open("/dev/zero"), "found a device");
  expect_says(open(folder / "none"), "No such file");
  write_text(folder / "file", reference_file());
  std::filesystem::create_symlink(folder / "file", folder / "link");
  EXPECT_EQ(open(folder / "link"), "");
}

TEST(Safetensors, AFileThatChangesWhileItIsReadIsNoticed) {
  const TemporaryFolder folder;
  write_text(folder / "w", reference_file());
  const SafetensorsReader reader(folder / "w");
  const TensorEntry& last = reader.entry("u");
  ASSERT_EQ(truncate((folder / "w").c_str(), 460), 0);
  expect_says(error_of([&] { reader.read(last); }), "shrank");
  write_text(folder / "w", reference_file() + "more");
  expect_says(error_of([&] { reader.read(last); }), "changed while");
}

TEST(Safetensors, BoolsAreZeroOrOne) {
  const TemporaryFolder folder;
  std::string text = reference_file();
  text.back() = 2;
  write_text(folder / "w", text);
  const SafetensorsReader reader(folder / "w");
  const std::string error = error_of([&] { reader.read(reader.entry("q\"\\\n\u00e9")); });
  expect_says(error, "offset 494: BOOL expects 0 or 1, found 2");
}

TEST(Safetensors, AHugeHeaderLengthAllocatesNothing) {
  const TemporaryFolder folder;
  write_text(folder / "w", std::string("\x00\xe1\xf5\x05\0\0\0\0", 8) + "{}");  // 100,000,000
  expect_says(error_of([&] { SafetensorsReader reader(folder / "w"); }), "at most 2");
}

TEST(Safetensors, PretrainedFilesAreRead) {
  const std::filesystem::path pretrained =
      std::filesystem::path(convoy::testing::place("CONVOY_DATA", CONVOY_DATA)) / "pretrained";
  if (!std::filesystem::exists(pretrained)) GTEST_SKIP() << "no " << pretrained;
  int files = 0;
  for (const auto& file : std::filesystem::directory_iterator(pretrained)) {
    if (file.path().extension() != ".safetensors") continue;
    ++files;
    const SafetensorsReader reader(file.path());
    EXPECT_FALSE(reader.header().tensors.empty());
    for (const TensorEntry& entry : reader.header().tensors) {
      ASSERT_EQ(entry.dtype, StoredType::F32);
      const auto raw = reader.read(entry);
      std::vector<float> values(raw.size() / sizeof(float));
      std::memcpy(values.data(), raw.data(), raw.size());
      for (const float v : values) ASSERT_TRUE(std::isfinite(v)) << entry.name;
    }
  }
  EXPECT_GT(files, 0);
}

}  // namespace
}  // namespace convoy::nn
