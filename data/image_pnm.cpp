// SPDX-License-Identifier: MIT
// Binary PNM: P5 (grey) and P6 (RGB), 8 or 16 bits (the pgm and ppm manual pages). A reader of our
// own, since stb_image accepts cut-off files and does not scale by the maximum value.
#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

class Header {
 public:
  Header(std::span<const std::uint8_t> file, const std::string& name) : file_(file), name_(name) {}

  // The next number, behind white space and comments.
  std::int64_t number(const char* what) {
    while (at_ < file_.size() && (is_space(file_[at_]) || file_[at_] == '#')) {
      if (file_[at_] == '#') {
        while (at_ < file_.size() && file_[at_] != '\n') ++at_;
      } else {
        ++at_;
      }
    }
    std::int64_t value = 0;
    const std::size_t begin = at_;
    while (at_ < file_.size() && file_[at_] >= '0' && file_[at_] <= '9' && value < 1'000'000) {
      value = 10 * value + (file_[at_++] - '0');
    }
    if (at_ == begin || at_ == file_.size() || value >= 1'000'000) {
      fail_data("{}: PNM header expects {} at byte {}, found none", name_, what, begin);
    }
    return value;
  }

  // The pixels start behind a single white space.
  std::size_t pixels_at() const {
    if (!is_space(file_[at_])) {
      fail_data("{}: PNM header expects white space at byte {}", name_, at_);
    }
    return at_ + 1;
  }

 private:
  static bool is_space(std::uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

  std::span<const std::uint8_t> file_;
  const std::string& name_;
  std::size_t at_ = 2;
};

}  // namespace

Image decode_pnm(std::span<const std::uint8_t> file, const std::string& name,
                 const DecodeLimits& limits) {
  if (file[1] != '5' && file[1] != '6') {
    fail_data("{}: expected a binary PNM (P5 or P6), found P{}", name, static_cast<char>(file[1]));
  }
  Header header(file, name);
  const std::int64_t width = header.number("the width");
  const std::int64_t height = header.number("the height");
  const std::int64_t top = header.number("the largest value");
  check_extent(height, width, name, limits);
  if (top < 1 || top > 65535) {
    fail_data("{}: PNM's largest value expects 1 to 65535, found {}", name, top);
  }
  const std::size_t at = header.pixels_at(), channels = file[1] == '6' ? 3 : 1;
  const std::size_t size = top > 255 ? 2 : 1;
  const auto count = static_cast<std::size_t>(height * width);
  if (file.size() - at < count * channels * size) {
    fail_data("{}: PNM of {} x {} expects {} bytes at byte {}, the file has {}", name, width,
              height, count * channels * size, at, file.size() - at);
  }
  Image image({height, width, 3});
  const auto value = [&](std::size_t i) {
    const std::uint8_t* p = &file[at + i * size];
    const std::int64_t v = size == 2 ? p[0] << 8 | p[1] : p[0];
    if (v > top) fail_data("{}: PNM value {} expects at most {}, found {}", name, i, top, v);
    return static_cast<std::uint8_t>((v * 255 + top / 2) / top);
  };
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t c = 0; c < 3; ++c) {
      image.pixels[3 * i + c] = value(channels == 3 ? 3 * i + c : i);
    }
  }
  return image;
}

}  // namespace convoy::data
