// SPDX-License-Identifier: MIT
#pragma once
// JPEG to RGB, whole or in part, at full size or at one of the sizes that libjpeg's inverse
// transform gives for less work: 1/8, 2/8 ... 8/8 of the sides, rounded up. One object decodes many
// pictures and keeps its memory in between.
//
//   JpegDecoder jpeg(limits);
//   const ImageExtent stored = jpeg.open(file, "cat.jpg");        // as stored: see orientation()
//   const Box part = jpeg.start({.y = 10, .x = 20, .height = 100, .width = 50}, 8);   // covers it
//   jpeg.read(pixels);                                            // [part.height, part.width, 3]
//
// The pixels of a part are those of the whole picture. Damage is noticed where it is met: what a
// scan in one pass holds below the part is not read, only whether the file ends with its end
// marker, which a file that was cut off does not.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "data/image.h"
#include "data/resize.h"

namespace convoy::data {

struct JpegDecoderState;

class JpegDecoder {
 public:
  explicit JpegDecoder(const DecodeLimits& limits);
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  // Reads the header; the file's bytes must hold until read() is done. All three throw Error of
  // kind data that starts with `name`.
  ImageExtent open(std::span<const std::uint8_t> file, const std::string& name);
  int orientation() const;  // of EXIF, 1 to 8
  // The picture's sides at this many eighths.
  ImageExtent scaled(int eighths) const;
  // Gets ready to decode what covers `wanted`, in pixels of that size; says what that is.
  Box start(const Box& wanted, int eighths);
  void read(std::uint8_t* pixels);

 private:
  std::unique_ptr<JpegDecoderState> state_;
};

}  // namespace convoy::data
