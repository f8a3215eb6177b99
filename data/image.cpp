// SPDX-License-Identifier: MIT
#include "data/image.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "data/exif.h"
#include "data/file.h"
#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

struct Signature {
  std::string_view bytes;
  std::size_t at;
  const char* name;
};

using std::string_view_literals::operator""sv;

// Formats that are known and not read: the user should learn what the file really is.
constexpr Signature kRefused[] = {
    {"GIF8"sv, 0, "GIF"},
    {"WEBP"sv, 8, "WebP"},
    {"II*\0"sv, 0, "TIFF"},
    {"MM\0*"sv, 0, "TIFF"},
    {"ftypavif"sv, 4, "AVIF"},
    {"ftyphei"sv, 4, "HEIC"},
    {"ftypmif1"sv, 4, "HEIF"},
    {"\xff\x0a"sv, 0, "JPEG XL"},
    {"\0\0\0\x0cJXL "sv, 0, "JPEG XL"},
    {"\0\0\0\x0cjP  "sv, 0, "JPEG 2000"},
    {"\xff\x4f\xff\x51"sv, 0, "JPEG 2000"},
    {"\0\0\1\0"sv, 0, "ICO"},
    {"8BPS"sv, 0, "PSD"},
    {"qoif"sv, 0, "QOI"},
    {"DDS "sv, 0, "DDS"},
    {"#?RADIANCE"sv, 0, "Radiance HDR"},
    {"\x76\x2f\x31\x01"sv, 0, "OpenEXR"},
    {"\x80\x02"sv, 0, "a Python pickle"},
    {"\x1f\x8b"sv, 0, "gzip"},
    {"PK\3\4"sv, 0, "a ZIP archive"},
    {"%PDF"sv, 0, "PDF"},
    {"<svg"sv, 0, "SVG"},
    {"<?xml"sv, 0, "XML or SVG"},
    {"<!DOCTYPE"sv, 0, "an HTML page"},
    {"<html"sv, 0, "an HTML page"},
    {"version https://git-lfs"sv, 0, "a Git LFS pointer (run git lfs pull)"},
};

bool starts_with(std::span<const std::uint8_t> file, std::string_view bytes, std::size_t at = 0) {
  return file.size() >= at + bytes.size() &&
         std::equal(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

[[noreturn]] void refuse_format(std::span<const std::uint8_t> file, const std::string& name) {
  for (const Signature& s : kRefused) {
    if (starts_with(file, s.bytes, s.at)) {
      fail_data("{}: expected JPEG, PNG, BMP or PNM, found {}", name, s.name);
    }
  }
  std::string start;
  for (std::size_t i = 0; i < std::min<std::size_t>(file.size(), 8); ++i) {
    start += fmt::format(" {:02x}", file[i]);
  }
  fail_data("{}: expected JPEG, PNG, BMP or PNM, found {}", name,
            file.empty() ? "an empty file" : "a file that starts with" + start);
}

// Pixel (y, x) of the upright image, in the stored one: EXIF 2.32, tag 0x0112, "0th row, 0th
// column" of each value.
std::pair<std::int64_t, std::int64_t> stored_place(int orientation, std::int64_t y, std::int64_t x,
                                                   const ImageExtent& stored) {
  const std::int64_t bottom = stored.height - 1, right = stored.width - 1;
  switch (orientation) {
    case 2:
      return {y, right - x};
    case 3:
      return {bottom - y, right - x};
    case 4:
      return {bottom - y, x};
    case 5:
      return {x, y};
    case 6:
      return {bottom - x, y};
    case 7:
      return {bottom - x, right - y};
    case 8:
      return {x, right - y};
    default:
      return {y, x};
  }
}

Image upright(Image stored, int orientation) {
  if (orientation <= 1) return stored;
  const ImageExtent& e = stored.extent;
  Image turned(orientation >= 5 ? ImageExtent{e.width, e.height, e.channels} : e);
  std::uint8_t* to = turned.pixels.data();
  for (std::int64_t y = 0; y < turned.extent.height; ++y) {
    for (std::int64_t x = 0; x < turned.extent.width; ++x, to += e.channels) {
      const auto [row, column] = stored_place(orientation, y, x, e);
      std::copy_n(&stored.pixels[static_cast<std::size_t>((row * e.width + column) * e.channels)],
                  e.channels, to);
    }
  }
  return turned;
}

}  // namespace

std::string to_text(const ImageExtent& e) {
  return fmt::format("{} x {} x {}", e.height, e.width, e.channels);
}

Image decode_image(std::span<const std::uint8_t> file, const std::string& name,
                   const DecodeLimits& limits) {
  if (starts_with(file, "\xff\xd8")) {
    return upright(decode_jpeg(file, name, limits), jpeg_orientation(file));
  }
  if (starts_with(file, "\x89PNG")) {
    return upright(decode_png(file, name, limits), png_orientation(file));
  }
  if (starts_with(file, "BM")) return decode_bmp(file, name, limits);
  if (file.size() >= 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '7') {
    return decode_pnm(file, name, limits);
  }
  refuse_format(file, name);
}

Image with_channels(Image image, std::int64_t channels) {
  const std::int64_t own = image.extent.channels;
  if (own == channels) return image;
  require((own == 1 && channels == 3) || (own == 3 && channels == 1),
          "with_channels: expected 1 or 3 channels, found an image of {} for {}", image.extent,
          channels);
  Image out({image.extent.height, image.extent.width, channels});
  const std::size_t count = std::min(image.pixels.size(), out.pixels.size());
  for (std::size_t i = 0; i < count; ++i) {
    if (channels == 3) {
      std::fill_n(&out.pixels[3 * i], 3, image.pixels[i]);
    } else {
      const std::uint8_t* rgb = &image.pixels[3 * i];
      out.pixels[i] =
          static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
  }
  return out;
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return decode_image(read_file(path, limits.max_file_bytes), path.string(), limits);
}

}  // namespace convoy::data
