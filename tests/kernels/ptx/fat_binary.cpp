// SPDX-License-Identifier: MIT
// The format is not published: what stands here was read from files, and fits nvcc 13.0. Any other
// is refused.
#include "tests/kernels/ptx/fat_binary.h"

#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace convoy::ptx {
namespace {

constexpr std::uint32_t kWrapperMark = 0x466243b1, kMark = 0xba55ed50;
constexpr std::uint16_t kPtx = 1;
constexpr std::uint64_t kZstd = 0x8000;

struct Wrapper {
  std::uint32_t mark, version;
  const std::uint8_t* data;
};
struct Header {
  std::uint32_t mark;
  std::uint16_t version, bytes;
  std::uint64_t entries;  // bytes behind this header
};
struct Entry {
  std::uint16_t kind, version;
  std::uint32_t header_bytes;
  std::uint64_t payload_bytes;
  std::uint32_t compressed_bytes, unknown[2], arch;
  std::uint64_t more_unknown, flags, even_more_unknown, plain_bytes;
};
static_assert(sizeof(Entry) == 64);

template <class T>
T read(const std::uint8_t* from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::string text_of(const Entry& entry, const std::uint8_t* payload) {
  if ((entry.flags & kZstd) == 0) {
    throw std::runtime_error("fat binary: expects PTX compressed by zstd, found other flags");
  }
  std::string text(entry.plain_bytes, '\0');
  const std::size_t size =
      ZSTD_decompress(text.data(), text.size(), payload, entry.compressed_bytes);
  if (ZSTD_isError(size) != 0 || size != text.size()) {
    throw std::runtime_error("fat binary: the PTX is damaged");
  }
  text.resize(text.find('\0') == std::string::npos ? text.size() : text.find('\0'));
  return text;
}

}  // namespace

std::string ptx_of(const void* binary, int arch) {
  const auto wrapper = read<Wrapper>(static_cast<const std::uint8_t*>(binary));
  if (wrapper.mark != kWrapperMark) throw std::runtime_error("fat binary: not of the kind known");
  const auto header = read<Header>(wrapper.data);
  if (header.mark != kMark) throw std::runtime_error("fat binary: not of the kind known");
  const std::uint8_t* at = wrapper.data + header.bytes;
  const std::uint8_t* const end = at + header.entries;
  std::uint32_t best = 0;
  std::string text;
  while (at < end) {
    const auto entry = read<Entry>(at);
    const bool fits = entry.kind == kPtx && entry.arch <= static_cast<std::uint32_t>(arch);
    if (fits && entry.arch > best) {
      best = entry.arch;
      text = text_of(entry, at + entry.header_bytes);
    }
    at += entry.header_bytes + entry.payload_bytes;
  }
  return text;
}

}  // namespace convoy::ptx
