// SPDX-License-Identifier: MIT
#pragma once
// The header of a safetensors file: eight bytes of length, then one JSON object. The input is
// hostile: every number is compared with the real size of the file before it is used, and whatever
// the format forbids is an error of kind data that names the file, the place and the rule. Stricter
// than the reference reader where that one lets a file mean two things (duplicate keys, unknown
// fields); more lenient in one point, white space before the object.
// Source: README and docs/safetensors.schema.json of github.com/huggingface/safetensors.
//
//   SafetensorsHeader h = parse_safetensors(bytes, "model.safetensors");
//   for (const TensorEntry& t : h.tensors) fmt::print("{} {}\n", t.name, name(t.dtype));

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/stored_type.h"

namespace convoy::nn {

struct TensorEntry {
  std::string name;
  StoredType dtype = StoredType::F32;
  std::vector<std::uint64_t> shape;  // empty: a scalar
  std::uint64_t begin = 0, end = 0;  // in bytes, from the end of the header
  std::uint64_t bytes() const { return end - begin; }
};

struct SafetensorsHeader {
  std::vector<TensorEntry> tensors;             // by offset, then name
  std::map<std::string, std::string> metadata;  // __metadata__
  std::uint64_t data_begin = 0;                 // where the tensors' bytes start in the file

  const TensorEntry* find(std::string_view name) const;  // null: no such tensor
};

inline constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the reference's limit
inline constexpr std::size_t kMaxNameBytes = 4096;
inline constexpr std::size_t kMaxTensors = 1'000'000;
inline constexpr std::size_t kMaxStoredRank = 16;
inline constexpr std::uint64_t kMaxStoredNumber = (std::uint64_t{1} << 48) - 1;  // the schema's

enum class Strictness : std::uint8_t {
  lenient,  // JSON white space may stand before and after the object, as the reference reads it
  strict    // the object starts at once, and only spaces follow it
};

// The first bytes of a file of `file_bytes` bytes (all of them, or at least kLengthBytes): checks
// and returns the length of the JSON text. Recognises files that are something else altogether.
inline constexpr std::size_t kSniffBytes = 64;
std::uint64_t safetensors_header_bytes(std::span<const std::byte> first, std::uint64_t file_bytes,
                                       std::string_view file);

// The JSON text of a file of `file_bytes` bytes.
SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           std::string_view file,
                                           Strictness strictness = Strictness::lenient);

// Both steps for a whole file in memory.
SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view file,
                                    Strictness strictness = Strictness::lenient);

}  // namespace convoy::nn
