// SPDX-License-Identifier: MIT
#include "data/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace convoy::data {
namespace {

// Unsigned numbers of either byte order. Reads past the end give 0.
struct Reader {
  std::span<const std::uint8_t> bytes;
  bool little = false;

  std::uint32_t number(std::size_t at, std::size_t size) const {
    if (at > bytes.size() || bytes.size() - at < size) return 0;
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
      value = value << 8 | bytes[at + (little ? size - 1 - i : i)];
    }
    return value;
  }
};

bool matches(std::span<const std::uint8_t> bytes, std::size_t at,
             std::span<const std::uint8_t> text) {
  return bytes.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

int tiff_orientation(std::span<const std::uint8_t> tiff) {
  constexpr std::array<std::uint8_t, 4> kLittle{'I', 'I', 42, 0}, kBig{'M', 'M', 0, 42};
  constexpr std::uint32_t kOrientation = 0x0112, kShort = 3;
  const bool little = matches(tiff, 0, kLittle);
  if (!little && !matches(tiff, 0, kBig)) return 1;
  const Reader read{tiff, little};
  const std::size_t directory = read.number(4, 4);
  const std::uint32_t entries = read.number(directory, 2);
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 1;
    if (read.number(entry, 2) != kOrientation) continue;
    const std::uint32_t value = read.number(entry + 8, 2);
    const bool sound = read.number(entry + 2, 2) == kShort && value >= 1 && value <= 8;
    return sound ? static_cast<int>(value) : 1;
  }
  return 1;
}

int jpeg_orientation(std::span<const std::uint8_t> file) {
  constexpr std::array<std::uint8_t, 6> kExif{'E', 'x', 'i', 'f', 0, 0};
  constexpr std::uint8_t kApp1 = 0xe1, kStartOfScan = 0xda, kEndOfImage = 0xd9;
  const Reader read{file};
  std::size_t at = 2;  // behind the start-of-image marker
  while (at + 4 <= file.size()) {
    const std::uint8_t marker = file[at + 1];
    if (file[at] != 0xff || marker == 0xff) {  // fill bytes, or garbage that a decoder skips too
      ++at;
      continue;
    }
    if (marker == kStartOfScan || marker == kEndOfImage) return 1;
    const std::size_t length = read.number(at + 2, 2);
    if (marker == 0 || length < 2) {
      at += 2;
      continue;
    }
    if (marker == kApp1 && length >= 8 && matches(file, at + 4, kExif)) {
      const std::size_t begin = at + 10, end = std::min(at + 2 + length, file.size());
      return tiff_orientation(file.subspan(begin, end - begin));
    }
    at += 2 + length;
  }
  return 1;
}

int png_orientation(std::span<const std::uint8_t> file) {
  constexpr std::array<std::uint8_t, 4> kExif{'e', 'X', 'I', 'f'};
  const Reader read{file};
  std::size_t at = 8;
  while (at + 12 <= file.size()) {
    const std::size_t length = read.number(at, 4);
    if (length > file.size() - at - 12) return 1;
    if (matches(file, at + 4, kExif)) return tiff_orientation(file.subspan(at + 8, length));
    at += 12 + length;
  }
  return 1;
}

}  // namespace convoy::data
