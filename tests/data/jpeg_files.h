// SPDX-License-Identifier: MIT
#pragma once
// JPEG files of every kind that the tests need, written with libjpeg as other programs write them.

#include <cstdio>  // before jpeglib.h, which needs FILE
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <cstdlib>

#include "data/image.h"
#include "tests/data/files.h"

namespace convoy::data::testing {

struct JpegKind {
  bool progressive = false;
  bool separate_scans = false;  // one scan per component, not interleaved
  bool arithmetic = false;
  int restart_rows = 0;
  int quality = 90;
  J_COLOR_SPACE space = JCS_RGB;  // of the pixels: grey, RGB or CMYK
  bool coarse = false;            // progressive, without the scans that refine
  int h = 0, v = 0;               // sampling factors of the first component; 0: libjpeg's choice
};

// `image` has as many channels as the colour space.
inline Bytes write_jpeg(const Image& image, const JpegKind& kind = {}) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_height = static_cast<JDIMENSION>(image.extent.height);
  info.image_width = static_cast<JDIMENSION>(image.extent.width);
  info.input_components = static_cast<int>(image.extent.channels);
  info.in_color_space = kind.space;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, kind.quality, TRUE);
  if (kind.progressive) jpeg_simple_progression(&info);
  if (kind.h > 0) {
    info.comp_info[0].h_samp_factor = kind.h;
    info.comp_info[0].v_samp_factor = kind.v;
  }
  info.arith_code = kind.arithmetic ? TRUE : FALSE;
  info.restart_in_rows = kind.restart_rows;
  jpeg_scan_info scans[4] = {};
  for (int c = 0; c < info.num_components; ++c) {
    scans[c].comps_in_scan = 1;
    scans[c].component_index[0] = c;
    scans[c].Se = 63;
  }
  if (kind.separate_scans) {
    info.scan_info = scans;
    info.num_scans = info.num_components;
  }
  // Of each component the first coefficient, and of the first one two more, without their last bit.
  const jpeg_scan_info coarse[4] = {{info.num_components, {0, 1, 2, 3}, 0, 0, 0, 0},
                                    {1, {0}, 1, 2, 0, 1}};
  if (kind.coarse) {
    info.scan_info = coarse;
    info.num_scans = 2;
  }
  jpeg_start_compress(&info, TRUE);
  const auto row_bytes = static_cast<std::size_t>(image.extent.width * image.extent.channels);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * row_bytes);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  const Bytes file(bytes, bytes + size);
  std::free(bytes);
  return file;
}

// Smooth enough to survive JPEG, and different in all four corners.
inline Image gradient(std::int64_t height, std::int64_t width, std::int64_t channels = 3) {
  Image image({height, width, channels});
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (std::int64_t c = 0; c < channels; ++c) {
        image.at(y, x, c) =
            static_cast<std::uint8_t>(20 + 150 * y / height + 60 * x / width + 8 * c);
      }
    }
  }
  return image;
}

// No two pixels alike, and not smooth: what a neighbour's value leaks into is seen.
inline Image speckled(std::int64_t height, std::int64_t width, std::int64_t channels = 3) {
  Image image = gradient(height, width, channels);
  std::uint32_t state = 1;
  for (std::uint8_t& p : image.pixels) {
    state = state * 1664525 + 1013904223;
    p = static_cast<std::uint8_t>(p + (state >> 27));
  }
  return image;
}

// The content of an APP1 segment with an orientation, behind another entry.
inline Bytes exif(int orientation, bool little = true) {
  Bytes content{'E', 'x', 'i', 'f', 0, 0};
  const auto number = [&](std::uint32_t value, int size) {
    for (int i = 0; i < size; ++i) {
      content.push_back(static_cast<std::uint8_t>(value >> 8 * (little ? i : size - 1 - i)));
    }
  };
  for (int i = 0; i < 2; ++i) content.push_back(little ? 'I' : 'M');
  number(42, 2);
  number(8, 4);  // the directory
  number(2, 2);  // its entries
  for (const auto& [tag, value] : {std::pair{0x0100, 7}, {0x0112, orientation}}) {
    number(static_cast<std::uint32_t>(tag), 2);
    number(3, 2);  // a short
    number(1, 4);
    number(static_cast<std::uint32_t>(value), 2);
    number(0, 2);
  }
  number(0, 4);
  return content;
}

// Position of the first marker ff `code`, which must be there.
inline std::size_t find_marker(const Bytes& file, std::uint8_t code, std::size_t from = 0) {
  for (std::size_t at = from; at + 1 < file.size(); ++at) {
    if (file[at] == 0xff && file[at + 1] == code) return at;
  }
  ADD_FAILURE() << "no marker " << int{code};
  return 0;
}

// Puts a segment right behind the start-of-image marker.
inline Bytes with_segment(const Bytes& jpeg, std::uint8_t code, const Bytes& content) {
  Bytes file(jpeg.begin(), jpeg.begin() + 2);
  file.push_back(0xff);
  file.push_back(code);
  file.push_back(static_cast<std::uint8_t>((content.size() + 2) >> 8));
  file.push_back(static_cast<std::uint8_t>(content.size() + 2));
  file.insert(file.end(), content.begin(), content.end());
  file.insert(file.end(), jpeg.begin() + 2, jpeg.end());
  return file;
}

}  // namespace convoy::data::testing
