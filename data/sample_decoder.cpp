// SPDX-License-Identifier: MIT
#include "data/sample_decoder.h"

#include <algorithm>

#include "data/orientation.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

Region scaled_by(const Box& b, int eighths) {
  const double factor = eighths / 8.0;
  return {static_cast<double>(b.y) * factor, static_cast<double>(b.x) * factor,
          static_cast<double>(b.height) * factor, static_cast<double>(b.width) * factor};
}

bool keeps_size(const Framing& f) { return f.height == f.box.height && f.width == f.box.width; }

void grow(std::vector<std::uint8_t>& buffer, std::int64_t bytes) {
  if (std::ssize(buffer) < bytes) buffer.resize(static_cast<std::size_t>(bytes));
}

}  // namespace

SampleDecoder::SampleDecoder(const DecodeLimits& limits) : limits_(limits), jpeg_(limits) {}

ImageExtent SampleDecoder::open(const Stored& stored, const std::string& name) {
  if (!stored.is_file()) {
    require(stored.extent.count() == std::ssize(stored.bytes),
            "{}: expected the bytes of {} pixels, found {}", name, stored.extent,
            stored.bytes.size());
    source_ = Source::pixels;
    stored_ = stored.extent;
    pixels_ = stored.bytes.data();
    return stored_;
  }
  if (is_jpeg(stored.bytes)) {
    source_ = Source::jpeg;
    stored_ = jpeg_.open(stored.bytes, name);
    return turned(stored_, jpeg_.orientation());
  }
  source_ = Source::image;
  image_ = decode_image(stored.bytes, name, limits_);
  stored_ = image_.extent;
  pixels_ = image_.pixels.data();
  return stored_;
}

int SampleDecoder::eighths(const Framing& f, Scaling scaling) const {
  if (source_ != Source::jpeg || scaling == Scaling::exact) return 8;
  for (const int n : {1, 2, 4}) {
    if (f.box.height * n >= f.height * 8 && f.box.width * n >= f.width * 8) return n;
  }
  return 8;
}

SampleDecoder::Pixels SampleDecoder::fetch(const Box& part, int eighths) {
  if (source_ != Source::jpeg) {
    const std::int64_t stride = stored_.width * stored_.channels;
    return {pixels_ + part.y * stride + part.x * stored_.channels, stride};
  }
  const Box decoded = jpeg_.start(part, eighths);
  const std::int64_t stride = decoded.width * 3;
  grow(decoded_, decoded.height * stride);
  jpeg_.read(decoded_.data());
  return {decoded_.data() + (part.y - decoded.y) * stride + (part.x - decoded.x) * 3, stride};
}

// The framing of the picture as it is stored.
void SampleDecoder::cut(const Framing& f, const ImageExtent& row, Scaling scaling,
                        std::uint8_t* out) {
  if (keeps_size(f)) {
    const Box part{f.box.y + f.top, f.box.x + f.left, row.height, row.width};
    const Pixels from = fetch(part, 8);
    const std::int64_t bytes = row.width * stored_.channels;
    for (std::int64_t y = 0; y < row.height; ++y) {
      std::copy_n(from.first + y * from.stride, bytes, out + y * bytes);
    }
    return;
  }
  const int n = eighths(f, scaling);
  const Box part = resizer_.plan(scaled_by(f.box, n), f, row.height, row.width);
  const Pixels from = fetch(part, n);
  resizer_.run(from.first, from.stride, stored_.channels, out);
}

void SampleDecoder::frame(const Framing& framing, const ImageExtent& row, Scaling scaling,
                          std::uint8_t* out) {
  const int orientation = source_ == Source::jpeg ? jpeg_.orientation() : 1;
  check(framing, turned(stored_, orientation), row.height, row.width);
  const bool turns = orientation != 1, converts = stored_.channels != row.channels;
  const ImageExtent upright{row.height, row.width, stored_.channels};
  const ImageExtent lying = turned(upright, orientation);
  if (converts) grow(upright_, upright.count());
  if (turns) grow(framed_, upright.count());
  std::uint8_t* const turned_to = converts ? upright_.data() : out;
  std::uint8_t* const cut_to = turns ? framed_.data() : turned_to;
  cut(stored_framing(framing, row.height, row.width, stored_, orientation), lying, scaling, cut_to);
  if (turns) turn(cut_to, lying, orientation, turned_to);
  if (converts) change_channels(turned_to, upright, row.channels, out);
}

}  // namespace convoy::data
