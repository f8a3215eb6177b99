// SPDX-License-Identifier: MIT
#pragma once
// From what a data set stores of a sample to a row of a batch: decoded, upright, framed. Each
// worker has one and the memory that it needs stays with it: once that has grown, JPEG files and
// stored pixels cost no allocation.
//
//   SampleDecoder decoder;
//   const ImageExtent picture = decoder.open(dataset.stored(index, scratch), name);
//   decoder.frame(random_resized_crop(picture, row, augmentation, draw), row, Scaling::dct, out);
//
// Of a JPEG only what the framing needs is decoded (data/jpeg_decoder.h), so damage farther down
// goes unnoticed unless it cuts the end off. decode_image() sees it all.

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/image.h"
#include "data/jpeg_decoder.h"
#include "data/resize.h"

namespace convoy::data {

// How a JPEG that is to be shrunk is decoded. exact: at full size, so that the result is Pillow's
// within one level. dct: at the smallest of 1/8, 2/8, 4/8 and full size at which the box has at
// least the wanted height and width. libjpeg's sizes between them cost more than full size, since
// libjpeg-turbo has no vector code for them.
enum class Scaling : std::uint8_t { exact, dct };

class SampleDecoder {
 public:
  explicit SampleDecoder(const DecodeLimits& limits = {});

  // Reads the header of a JPEG, and the whole of any other file. Returns the picture's extent as it
  // will stand upright. The stored bytes must hold until `frame` is done. Throws Error of kind data
  // that starts with `name`, as does `frame`.
  ImageExtent open(const Stored& stored, const std::string& name);
  // Once for each open(): writes row.height x row.width x row.channels, of 1 or 3 channels, to
  // `out`. Throws Error where the framing leaves the picture.
  void frame(const Framing& framing, const ImageExtent& row, Scaling scaling, std::uint8_t* out);

 private:
  enum class Source : std::uint8_t { pixels, jpeg, image };
  struct Pixels {
    const std::uint8_t* first;
    std::int64_t stride;
  };

  int eighths(const Framing& framing, Scaling scaling) const;
  Pixels fetch(const Box& part, int eighths);
  void cut(const Framing& framing, const ImageExtent& row, Scaling scaling, std::uint8_t* out);

  DecodeLimits limits_;
  JpegDecoder jpeg_;
  Resizer resizer_;
  Source source_ = Source::pixels;
  ImageExtent stored_;                    // of the picture that is open, before it is turned
  const std::uint8_t* pixels_ = nullptr;  // of it, unless it is a JPEG
  Image image_;                           // of files that are no JPEG
  std::vector<std::uint8_t> decoded_;     // part of a JPEG
  std::vector<std::uint8_t> framed_;      // before it is turned
  std::vector<std::uint8_t> upright_;     // before its channels are changed
};

}  // namespace convoy::data
