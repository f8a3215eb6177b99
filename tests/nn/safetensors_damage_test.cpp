// SPDX-License-Identifier: MIT
// A file of 4 KiB, cut at every byte and with every bit flipped. A damaged file must be refused, or
// mean the same tensors. What no reader can see without a checksum is a flip inside a name or a
// metadata text that leaves it valid: there the rest of the header must be the same.
#include <gtest/gtest.h>

#include "nn/safetensors.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn {
namespace {

constexpr std::size_t kFileBytes = 4096;

std::string sample_file() {
  const convoy::testing::TemporaryFolder folder;
  std::vector<std::byte> bytes(kFileBytes);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 37);
  const std::span<const std::byte> all(bytes);
  const auto write = [&](std::size_t rest) {
    write_safetensors(folder / "w",
                      {{"layer1.0.conv1.weight", StoredType::F32, {4, 3, 3, 3}, all.first(432)},
                       {"layer1.0.bn1.bias", StoredType::F16, {4}, all.first(8)},
                       {"empty", StoredType::I64, {0, 3}, all.first(0)},
                       {"scalar", StoredType::F64, {}, all.first(8)},
                       {"rest", StoredType::U8, {rest}, all.first(rest)}},
                      {{"format", "pt"}, {"note", "damage"}});
    return convoy::testing::file_text(folder / "w");
  };
  const std::size_t without = write(1000).size() - 1000;  // as many digits as the real one
  return write(kFileBytes - without);
}

// The header, or nothing if the file is refused. An error of another kind is a bug.
std::optional<SafetensorsHeader> parse(std::string_view file) {
  try {
    return parse_safetensors(std::as_bytes(std::span(file)), "damaged");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data) << e.what();
    return std::nullopt;
  }
}

bool same_layout(const SafetensorsHeader& a, const SafetensorsHeader& b) {
  if (a.tensors.size() != b.tensors.size() || a.metadata.size() != b.metadata.size()) return false;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    const TensorEntry &x = a.tensors[i], &y = b.tensors[i];
    if (x.dtype != y.dtype || x.shape != y.shape || x.begin != y.begin || x.end != y.end) {
      return false;
    }
  }
  return a.data_begin == b.data_begin;
}

std::size_t changed_texts(const SafetensorsHeader& a, const SafetensorsHeader& b) {
  std::size_t changed = 0;
  for (std::size_t i = 0; i < a.tensors.size(); ++i) {
    changed += a.tensors[i].name != b.tensors[i].name;
  }
  for (const auto& [key, value] : a.metadata) {
    const auto at = b.metadata.find(key);
    changed += at == b.metadata.end() || at->second != value;
  }
  return changed;
}

TEST(SafetensorsDamage, EveryTruncationIsRefused) {
  const std::string file = sample_file();
  ASSERT_EQ(file.size(), kFileBytes);
  ASSERT_TRUE(parse(file));
  for (std::size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(parse(std::string_view(file).substr(0, size))) << size;
  }
  EXPECT_FALSE(parse(file + '\0'));
  EXPECT_FALSE(parse(file + ' '));
}

TEST(SafetensorsDamage, EveryBitFlipIsRefusedOrLeavesTheLayout) {
  const std::string file = sample_file();
  const SafetensorsHeader good = *parse(file);
  const std::size_t header_bits = good.data_begin * 8;
  std::size_t renamed = 0;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto header = parse(damaged);
    ASSERT_TRUE(header || bit < header_bits) << "bit " << bit << ": only data changed";
    if (!header) continue;
    // Extent 3 of the tensor with no elements can become any digit.
    if (damaged.find("\"shape\":[0,3]") == damaged.npos) continue;
    ASSERT_TRUE(same_layout(*header, good)) << "bit " << bit << ", byte " << damaged[bit / 8];
    const std::size_t texts = changed_texts(good, *header);
    ASSERT_LE(texts, bit < header_bits ? 1u : 0u) << "bit " << bit;
    renamed += texts;
  }
  EXPECT_GT(renamed, 100u);
  EXPECT_LT(renamed, header_bits / 5);
}

}  // namespace
}  // namespace convoy::nn
