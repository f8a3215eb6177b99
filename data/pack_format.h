// SPDX-License-Identifier: MIT
#pragma once
// How a pack lies in its file. All numbers are little-endian; every byte is under a CRC-32C or
// compared with a constant, so that no flipped bit goes unseen.
//
//   header    64 bytes
//   records   each at a multiple of 64: PackRecord, the stored bytes, zeros up to the next
//   index     a PackEntry for each record; their names, one after the other; the lengths of the
//             texts as u32; the texts: the split, the data set, then the classes
//   footer    64 bytes, last: a file that was cut off has none
//
// Records and index follow each other without a gap, so that an offset is right or refused.

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "runtime/crc32c.h"

namespace convoy::data {

static_assert(std::endian::native == std::endian::little, "packs are read and written as they lie");

inline constexpr std::string_view kPackMagic = "CONVOYPK", kPackEnd = "PACK.END";
inline constexpr std::uint32_t kPackVersion = 1;
inline constexpr std::uint64_t kPackAlignment = 64;
inline constexpr std::uint64_t kPackTexts = 2;  // before the classes

struct PackHeader {
  char magic[8];           // kPackMagic
  std::uint32_t version;   // kPackVersion
  std::uint32_t channels;  // of the data set's images: 1 or 3
  std::uint64_t planned;   // samples that were to be packed; fewer records if some were skipped
  std::uint32_t plan;      // CRC-32C of what was to be packed and how: names, labels, options
  std::uint32_t zero[8];
  std::uint32_t crc;  // of all before it
};

struct PackRecord {
  std::uint32_t crc;                            // from here to the next record
  std::uint32_t label;                          // below the number of classes
  std::uint64_t bytes;                          // stored
  std::uint64_t position;                       // in the plan
  std::uint16_t height, width, channels, zero;  // of pixels; 0 where an image file is stored
};

struct PackEntry {
  std::uint64_t offset;    // of the record in the file
  std::uint64_t bytes;     // stored
  std::uint64_t name_end;  // where its name ends among the names
  std::uint32_t crc;       // the record's
  std::uint32_t label;
  std::uint16_t height, width, channels, zero;
};

struct PackFooter {
  std::uint64_t records, index_offset, index_bytes, name_bytes, texts, file_bytes;
  std::uint32_t index_crc;
  std::uint32_t crc;  // of all before it
  char magic[8];      // kPackEnd
};

static_assert(sizeof(PackHeader) == 64 && sizeof(PackRecord) == 32 && sizeof(PackEntry) == 40 &&
              sizeof(PackFooter) == 64);

// From one record to the next.
inline std::uint64_t pack_record_span(std::uint64_t stored_bytes) {
  return (sizeof(PackRecord) + stored_bytes + kPackAlignment - 1) / kPackAlignment * kPackAlignment;
}

template <class T>
requires std::is_trivially_copyable_v<T> T read_as(std::span<const std::uint8_t> bytes,
                                                   std::uint64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
std::span<const std::uint8_t> bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

inline std::uint32_t crc_of(std::span<const std::uint8_t> bytes, std::uint32_t before = 0) {
  return crc32c(std::as_bytes(bytes), before);
}

// Of a header, footer or other struct whose checksum is the member at `end`.
template <class T>
std::uint32_t crc_before(const T& value, std::size_t end) {
  return crc_of(bytes_of(value).first(end));
}

}  // namespace convoy::data
