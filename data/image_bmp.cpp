// SPDX-License-Identifier: MIT
// Windows bitmaps without compression: 1, 4 and 8 bits with a palette, 24 and 32 bits, 16 and 32
// bits with masks (the BITMAPINFOHEADER family). A reader of our own, since stb_image fills cut-off
// files up with zeros and leaves colours beyond the palette uninitialised.
#include <bit>

#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

std::uint32_t le(std::span<const std::uint8_t> file, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::uint32_t{file[at + i]} << (8 * i);
  return value;
}

struct Bitmap {
  std::int64_t height, width;
  bool top_down;
  std::uint32_t bits;
  std::uint32_t mask[3];  // red, green, blue; of 16 and 32 bits
  std::size_t palette_at, colours, pixels_at, row_bytes;
};

constexpr std::size_t kFileHeader = 14, kInfoHeader = 40;

void read_masks(std::span<const std::uint8_t> file, std::uint32_t compression, Bitmap& b,
                const std::string& name) {
  const std::uint32_t defaults16[3] = {0x7c00, 0x03e0, 0x001f};
  const std::uint32_t defaults32[3] = {0xff0000, 0xff00, 0xff};
  for (std::size_t c = 0; c < 3; ++c) {
    b.mask[c] = b.bits == 16 ? defaults16[c] : defaults32[c];
    // Behind the short header, or in the longer ones: the same place.
    if (compression == 3) b.mask[c] = le(file, kFileHeader + kInfoHeader + 4 * c, 4);
    const std::uint32_t run = b.mask[c] >> std::countr_zero(b.mask[c] | 0x80000000u);
    if (b.mask[c] == 0 || (run & (run + 1)) != 0) {
      fail_data("{}: BMP masks expect adjoining bits, found {:08x}", name, b.mask[c]);
    }
  }
}

Bitmap read_header(std::span<const std::uint8_t> file, const std::string& name,
                   const DecodeLimits& limits) {
  const auto expect_bytes = [&](std::size_t bytes) {
    if (file.size() >= bytes) return;
    fail_data("{}: BMP is truncated: expected a header of {} bytes, the file has {}", name, bytes,
              file.size());
  };
  expect_bytes(kFileHeader + kInfoHeader);
  const std::uint32_t header = le(file, 14, 4), compression = le(file, 30, 4);
  if (compression == 3) expect_bytes(kFileHeader + kInfoHeader + 12);
  const auto height = static_cast<std::int32_t>(le(file, 22, 4));
  Bitmap b{};
  b.width = static_cast<std::int32_t>(le(file, 18, 4));
  b.height = height < 0 ? -std::int64_t{height} : height;
  b.top_down = height < 0;
  b.bits = le(file, 28, 2);
  b.pixels_at = le(file, 10, 4);
  if (header < kInfoHeader || header > 124) {
    fail_data("{}: BMP header expects 40 to 124 bytes, found {}", name, header);
  }
  check_extent(b.height, b.width, name, limits);
  const bool masked = b.bits == 16 || b.bits == 32;
  const bool palette = b.bits == 1 || b.bits == 4 || b.bits == 8;
  if (!(compression == 0 || (compression == 3 && masked)) || !(palette || masked || b.bits == 24)) {
    fail_data("{}: expected a BMP without compression, found compression {} of {} bits", name,
              compression, b.bits);
  }
  if (masked) read_masks(file, compression, b, name);
  b.palette_at = kFileHeader + header;
  const std::size_t stated = le(file, 46, 4);
  b.colours = palette ? (stated == 0 ? std::size_t{1} << b.bits : stated) : 0;
  b.row_bytes = (static_cast<std::size_t>(b.width) * b.bits + 31) / 32 * 4;
  return b;
}

void check_room(const Bitmap& b, std::size_t bytes, const std::string& name) {
  if (b.colours > std::size_t{1} << b.bits || b.palette_at + 4 * b.colours > b.pixels_at) {
    fail_data("{}: BMP palette of {} colours does not fit before the pixels at byte {}", name,
              b.colours, b.pixels_at);
  }
  const std::size_t pixels = b.row_bytes * static_cast<std::size_t>(b.height);
  // The padding of the last row may be missing.
  const std::size_t last = (static_cast<std::size_t>(b.width) * b.bits + 7) / 8;
  if (b.pixels_at > bytes || bytes - b.pixels_at < pixels - b.row_bytes + last) {
    fail_data("{}: BMP of {} x {} expects {} bytes at byte {}, the file has {} in all", name,
              b.width, b.height, pixels, b.pixels_at, bytes);
  }
}

std::uint8_t masked_value(std::uint32_t pixel, std::uint32_t mask) {
  const int shift = std::countr_zero(mask);
  const std::uint64_t top = mask >> shift;
  return static_cast<std::uint8_t>((((pixel & mask) >> shift) * std::uint64_t{255} + top / 2) /
                                   top);
}

void read_pixel(std::span<const std::uint8_t> file, const Bitmap& b, std::size_t row, std::size_t x,
                std::uint8_t* rgb, const std::string& name) {
  if (b.bits == 24) {
    for (std::size_t c = 0; c < 3; ++c) rgb[c] = file[row + 3 * x + 2 - c];
  } else if (b.bits >= 16) {
    const std::uint32_t pixel = le(file, row + x * (b.bits / 8), b.bits / 8);
    for (std::size_t c = 0; c < 3; ++c) rgb[c] = masked_value(pixel, b.mask[c]);
  } else {
    const std::size_t bit = x * b.bits;
    const std::size_t index =
        file[row + bit / 8] >> (8 - b.bits - bit % 8) & ((std::size_t{1} << b.bits) - 1);
    if (index >= b.colours) {
      fail_data("{}: BMP pixel at byte {} expects a colour below {}, found {}", name, row + bit / 8,
                b.colours, index);
    }
    for (std::size_t c = 0; c < 3; ++c) rgb[c] = file[b.palette_at + 4 * index + 2 - c];
  }
}

}  // namespace

Image decode_bmp(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits) {
  const Bitmap b = read_header(file, name, limits);
  check_room(b, file.size(), name);
  Image image({b.height, b.width, 3});
  std::uint8_t* rgb = image.pixels.data();
  for (std::int64_t y = 0; y < b.height; ++y) {
    const std::int64_t stored = b.top_down ? y : b.height - 1 - y;
    const std::size_t row = b.pixels_at + static_cast<std::size_t>(stored) * b.row_bytes;
    for (std::int64_t x = 0; x < b.width; ++x, rgb += 3) {
      read_pixel(file, b, row, static_cast<std::size_t>(x), rgb, name);
    }
  }
  return image;
}

}  // namespace convoy::data
