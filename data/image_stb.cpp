// SPDX-License-Identifier: MIT
// PNG through stb_image, compiled here and for nothing else: from memory only, no other format, and
// only after check_png has found the file sound.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MAX_DIMENSIONS 65500
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

#include "data/image_formats.h"
#include "data/png_check.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

struct Free {
  void operator()(stbi_uc* pixels) const { stbi_image_free(pixels); }
};

// stb_image leaves a palette's missing entries uninitialised. This is the file with a PLTE chunk of
// 256 colours, the missing ones black, as libpng shows them; nobody looks at its CRC again.
std::vector<std::uint8_t> with_full_palette(std::span<const std::uint8_t> file) {
  constexpr std::size_t kColours = 256 * 3;
  std::size_t at = 8;
  const auto length = [&] {
    return std::size_t{file[at]} << 24 | std::size_t{file[at + 1]} << 16 |
           std::size_t{file[at + 2]} << 8 | file[at + 3];
  };
  while (file[at + 4] != 'P') at += 12 + length();
  const auto begin = file.begin() + static_cast<std::ptrdiff_t>(at);
  const auto colours = begin + 8;
  const auto behind = colours + static_cast<std::ptrdiff_t>(length());
  std::vector<std::uint8_t> full(file.begin(), begin);
  constexpr std::array<std::uint8_t, 8> kHead{0, 0, kColours >> 8, 0, 'P', 'L', 'T', 'E'};
  full.insert(full.end(), kHead.begin(), kHead.end());
  full.insert(full.end(), colours, behind);
  full.resize(static_cast<std::size_t>(colours - file.begin()) + kColours);
  full.insert(full.end(), behind, file.end());
  return full;
}

}  // namespace

Image decode_png(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits) {
  const PngHeader header = check_png(file, name, limits);
  std::vector<std::uint8_t> padded;
  if (header.colour_type == 3 && header.palette_entries < 1 << header.bit_depth) {
    file = padded = with_full_palette(file);
  }
  if (file.size() > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    fail_data("{}: PNG files expect at most {} bytes, found {}", name,
              std::numeric_limits<int>::max(), file.size());
  }
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, Free> pixels(stbi_load_from_memory(
      file.data(), static_cast<int>(file.size()), &width, &height, &channels, 3));
  if (pixels == nullptr) {
    fail_data("{}: damaged or unsupported PNG: {}", name, stbi_failure_reason());
  }
  Image image({height, width, 3});
  std::copy_n(pixels.get(), image.pixels.size(), image.pixels.begin());
  return image;
}

}  // namespace convoy::data
