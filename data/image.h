// SPDX-License-Identifier: MIT
#pragma once
// Pictures in host memory, and the decoder of single files. The format is told by the content and
// never by the name; whatever a file holds (grey, palette, CMYK, 16 bits, alpha), out come 8-bit
// RGB pixels that stand upright (EXIF orientation applied). Files are treated as hostile: sizes are
// checked before memory is asked for, and a damaged file is an error, never a silently grey image.
//
//   Image image = read_image("cat.jpg");    // image.at(y, x, channel)

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace convoy::data {

// Height, width and channels; all zero where images of a data set differ.
struct ImageExtent {
  std::int64_t height = 0, width = 0, channels = 0;
  std::int64_t count() const { return height * width * channels; }
  friend bool operator==(const ImageExtent&, const ImageExtent&) = default;
};
std::string to_text(const ImageExtent& extent);  // "28 x 28 x 1"

// Rows from the top, pixels from the left, channels (red, green, blue, or one grey) together.
struct Image {
  ImageExtent extent = {};
  std::vector<std::uint8_t> pixels;  // [height, width, channels]

  Image() = default;
  explicit Image(const ImageExtent& e) : extent(e), pixels(static_cast<std::size_t>(e.count())) {}
  std::uint8_t& at(std::int64_t y, std::int64_t x, std::int64_t c) {
    return pixels[static_cast<std::size_t>((y * extent.width + x) * extent.channels + c)];
  }
  std::uint8_t at(std::int64_t y, std::int64_t x, std::int64_t c) const {
    return pixels[static_cast<std::size_t>((y * extent.width + x) * extent.channels + c)];
  }
};

// What a decoder does with a JPEG that its library can only read with a warning: five files in six
// with a flipped bit decode without one, so a warning is the rare chance to see damage.
enum class Damage : std::uint8_t { refuse, accept };

struct DecodeLimits {
  std::int64_t max_pixels = 100'000'000;           // height x width
  std::int64_t max_side = 65'500;                  // either
  std::int64_t max_decoder_bytes = 1'200'000'000;  // a JPEG decoder's own working memory
  int max_scans = 100;                             // of a progressive JPEG
  std::uint64_t max_file_bytes = 1ULL << 30;
  Damage damage = Damage::refuse;
};

bool is_jpeg(std::span<const std::uint8_t> file);  // by its first two bytes

// JPEG (baseline and progressive, 8 bits), PNG, BMP or PNM to RGB. `name` stands in error texts.
// Throws Error of kind data that says what is wrong with the file.
Image decode_image(std::span<const std::uint8_t> file, const std::string& name,
                   const DecodeLimits& limits = {});
Image read_image(const std::filesystem::path& path, const DecodeLimits& limits = {});

// The image with 1 or 3 channels: grey is 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, as Pillow's
// "L").
Image with_channels(Image image, std::int64_t channels);
// The same from 1 to 3 or 3 to 1 into memory of the caller's: out [height, width, channels].
void change_channels(const std::uint8_t* pixels, const ImageExtent& extent, std::int64_t channels,
                     std::uint8_t* out);

// Quality 1 to 100, 4:4:4, for images of 1 or 3 channels. The same image gives the same bytes.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality);

}  // namespace convoy::data
