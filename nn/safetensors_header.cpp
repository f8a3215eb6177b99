// SPDX-License-Identifier: MIT
#include "nn/safetensors_header.h"

#include <algorithm>
#include <cctype>
#include <tuple>

#include "nn/in_quotes.h"
#include "nn/safetensors_json.h"

namespace convoy::nn {
namespace {

void check_names(const SafetensorsHeader& header, std::string_view file) {
  std::vector<std::string_view> names;
  names.reserve(header.tensors.size());
  for (const TensorEntry& t : header.tensors) names.push_back(t.name);
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end()) fail_data("{}: duplicate key {}", file, in_quotes(*twice));
}

// Bytes that the shape needs. The product is checked from left to right, as the reference does:
// [2^47, 2^47, 0] overflows though it is 0.
std::uint64_t expected_bytes(const TensorEntry& t, std::string_view file) {
  std::uint64_t bits = 1;
  bool fits = true;
  for (const std::uint64_t extent : t.shape) fits &= !__builtin_mul_overflow(bits, extent, &bits);
  fits &= !__builtin_mul_overflow(bits, std::uint64_t{bits_of(t.dtype)}, &bits);
  if (!fits) {
    fail_data("{}: tensor {}: shape [{}] of {} overflows 64 bits", file, in_quotes(t.name),
              fmt::join(t.shape, ", "), t.dtype);
  }
  if (bits % 8 != 0) {
    fail_data("{}: tensor {}: shape [{}] of {} expects whole bytes, found {} bits", file,
              in_quotes(t.name), fmt::join(t.shape, ", "), t.dtype, bits);
  }
  return bits / 8;
}

void check_sizes(const SafetensorsHeader& header, std::string_view file) {
  for (const TensorEntry& t : header.tensors) {
    if (t.begin > t.end) {
      fail_data("{}: tensor {}: data_offsets: expected begin <= end, found [{}, {}]", file,
                in_quotes(t.name), t.begin, t.end);
    }
    const std::uint64_t bytes = expected_bytes(t, file);
    if (t.bytes() != bytes) {
      fail_data("{}: tensor {}: shape [{}] of {} expects {} bytes, data_offsets [{}, {}] hold {}",
                file, in_quotes(t.name), fmt::join(t.shape, ", "), t.dtype, bytes, t.begin, t.end,
                t.bytes());
    }
  }
}

// The tensors, sorted by offset, must tile the rest of the file: no hole, overlap or extra byte.
void check_tiling(const SafetensorsHeader& header, std::uint64_t data_bytes,
                  std::string_view file) {
  std::uint64_t at = 0;
  for (const TensorEntry& t : header.tensors) {
    if (t.begin != at) {
      fail_data("{}: tensor {}: data_offsets: expected begin {} (no hole, no overlap), found {}",
                file, in_quotes(t.name), at, t.begin);
    }
    at = t.end;
  }
  if (at != data_bytes) {
    fail_data("{}: expected {} bytes after the header, which the tensors fill, found {} ({})", file,
              at, data_bytes, at > data_bytes ? "the file is cut short" : "trailing bytes");
  }
}

void check_frame(std::string_view json, std::string_view file, Strictness strictness) {
  // nlohmann's parser takes a NUL for the end of the text, and skips a byte order mark.
  if (const auto nul = json.find('\0'); nul != json.npos) {
    fail_data("{}: header is not JSON at offset {}: found a NUL byte", file, kLengthBytes + nul);
  }
  const auto open = json.find_first_not_of(" \t\r\n");
  if (open == json.npos || json[open] != '{') {
    fail_data("{}: header: expected one JSON object at offset {}, found {}", file,
              kLengthBytes + (open == json.npos ? 0 : open),
              open == json.npos ? "white space only" : in_quotes(json.substr(open, 16)));
  }
  if (strictness == Strictness::lenient) return;
  const auto close = json.find_last_not_of(' ');
  if (open != 0 || json[close] != '}') {
    fail_data(
        "{}: header: expected '{{' at offset 8 and spaces after the last '}}' (strict), "
        "found other white space",
        file);
  }
}

// Files that people really have under such a name; a header length read from them says nothing.
void check_other_kinds(std::string_view first, std::string_view file) {
  std::string lower;
  for (const char c : first)
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const auto text = std::min(lower.find_first_not_of(" \t\r\n"), lower.size());
  const std::string_view trimmed = std::string_view(lower).substr(text);
  if (first.starts_with("version https://git-lfs")) {
    fail_data(
        "{}: expected a safetensors file, found a Git LFS pointer: fetch the file itself "
        "with `git lfs pull`",
        file);
  }
  if (trimmed.starts_with("<!doctype") || trimmed.starts_with("<html") ||
      trimmed.starts_with("<?xml")) {
    fail_data("{}: expected a safetensors file, found an HTML page: the download went wrong", file);
  }
  // A header of 640 bytes begins with 80 02 as well; but its length has zeros above.
  const bool is_length = first.substr(0, 8).ends_with(std::string_view("\0\0\0\0", 4));
  if (first.starts_with("PK\x03\x04") || (first.starts_with("\x80\x02") && !is_length)) {
    fail_data(
        "{}: expected a safetensors file, found a PyTorch pickle: convert it first, in "
        "Python, with safetensors.torch.save_file",
        file);
  }
}

}  // namespace

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
  const auto at = std::find_if(tensors.begin(), tensors.end(),
                               [&](const TensorEntry& t) { return t.name == name; });
  return at == tensors.end() ? nullptr : &*at;
}

std::uint64_t safetensors_header_bytes(std::span<const std::byte> first, std::uint64_t file_bytes,
                                       std::string_view file) {
  const std::string_view text(reinterpret_cast<const char*>(first.data()), first.size());
  check_other_kinds(text.substr(0, kSniffBytes), file);
  if (file_bytes < kLengthBytes || first.size() < kLengthBytes) {
    fail_data("{}: expected at least 8 bytes (the header's length), found a file of {}", file,
              file_bytes);
  }
  std::uint64_t length = 0;
  for (std::size_t i = kLengthBytes; i-- > 0;) {
    length = length << 8 | std::to_integer<std::uint64_t>(first[i]);
  }
  if (length == 0) fail_data("{}: header length at offset 0: expected at least 2, found 0", file);
  if (length > kMaxHeaderBytes) {
    fail_data(
        "{}: header length at offset 0: expected at most {}, found {}: is it a safetensors "
        "file?",
        file, kMaxHeaderBytes, length);
  }
  if (length > file_bytes - kLengthBytes) {
    fail_data(
        "{}: header length at offset 0: expected at most {} (the file has {} bytes), found "
        "{}: the file is cut short",
        file, file_bytes - kLengthBytes, file_bytes, length);
  }
  return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes,
                                           std::string_view file, Strictness strictness) {
  check_frame(json, file, strictness);
  SafetensorsHeader header;
  header.data_begin = kLengthBytes + json.size();
  require(header.data_begin <= file_bytes, "safetensors: a header of {} bytes in a file of {}",
          json.size(), file_bytes);
  read_header_json(json, file, header);
  check_names(header, file);
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) {
              return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
            });
  check_sizes(header, file);
  check_tiling(header, file_bytes - header.data_begin, file);
  return header;
}

SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view file,
                                    Strictness strictness) {
  const std::uint64_t length = safetensors_header_bytes(bytes, bytes.size(), file);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return parse_safetensors_header(text.substr(kLengthBytes, length), bytes.size(), file,
                                  strictness);
}

}  // namespace convoy::nn
