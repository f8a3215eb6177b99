// SPDX-License-Identifier: MIT
#include "data/image.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "data/exif.h"
#include "data/file.h"
#include "data/image_formats.h"
#include "data/orientation.h"
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

Image upright(Image stored, int orientation) {
  if (orientation <= 1) return stored;
  Image image(turned(stored.extent, orientation));
  turn(stored.pixels.data(), stored.extent, orientation, image.pixels.data());
  return image;
}

}  // namespace

std::string to_text(const ImageExtent& e) {
  return fmt::format("{} x {} x {}", e.height, e.width, e.channels);
}

bool is_jpeg(std::span<const std::uint8_t> file) { return starts_with(file, "\xff\xd8"); }

Image decode_image(std::span<const std::uint8_t> file, const std::string& name,
                   const DecodeLimits& limits) {
  if (is_jpeg(file)) {
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

void check_extent(std::int64_t height, std::int64_t width, const std::string& name,
                  const DecodeLimits& limits) {
  if (height < 1 || width < 1 || height > limits.max_side || width > limits.max_side) {
    fail_data("{}: image sides expect 1 to {} pixels, the header states {} x {}", name,
              limits.max_side, width, height);
  }
  if (height * width > limits.max_pixels) {
    fail_data("{}: images expect at most {} pixels, the header states {} x {}", name,
              limits.max_pixels, width, height);
  }
}

void change_channels(const std::uint8_t* pixels, const ImageExtent& extent, std::int64_t channels,
                     std::uint8_t* out) {
  const std::int64_t own = extent.channels;
  require((own == 1 && channels == 3) || (own == 3 && channels == 1),
          "channels: expected 1 or 3, found an image of {} for {}", extent, channels);
  for (std::int64_t i = 0; i < extent.height * extent.width; ++i) {
    if (channels == 3) {
      std::fill_n(out + 3 * i, 3, pixels[i]);
    } else {
      const std::uint8_t* rgb = pixels + 3 * i;
      out[i] = static_cast<std::uint8_t>((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
    }
  }
}

Image with_channels(Image image, std::int64_t channels) {
  if (image.extent.channels == channels) return image;
  Image out({image.extent.height, image.extent.width, channels});
  change_channels(image.pixels.data(), image.extent, channels, out.pixels.data());
  return out;
}

Image read_image(const std::filesystem::path& path, const DecodeLimits& limits) {
  return decode_image(read_file(path, limits.max_file_bytes), path.string(), limits);
}

}  // namespace convoy::data
