// SPDX-License-Identifier: MIT
#pragma once
// Normalisation by its formula, on a copy of each crop.

#include <algorithm>
#include <vector>

#include "kernels/image.h"

namespace convoy::reference {

inline std::vector<double> image_normalize(const ImageNormalize& op) {
  std::vector<double> y;
  for (std::int64_t n = 0; n < op.batch; ++n) {
    const ImageRow row = op.rows ? op.rows[n] : ImageRow{};
    const std::uint8_t* image =
        op.x + (op.index ? op.index[n] : n) * op.height * op.width * op.channels;
    for (std::int64_t h = 0; h < op.out_height; ++h) {
      std::vector<std::vector<double>> line;  // [out_width][out_channels]
      for (std::int64_t w = 0; w < op.out_width; ++w) {
        auto& pixel = line.emplace_back(static_cast<std::size_t>(op.out_channels), 0.0);
        const std::int64_t from_h = h + row.offset_y, from_w = w + row.offset_x;
        for (std::int64_t c = 0; c < op.channels; ++c) {
          double v = 0;
          if (0 <= from_h && from_h < op.height && 0 <= from_w && from_w < op.width) {
            v = image[(from_h * op.width + from_w) * op.channels + c];
          }
          pixel[static_cast<std::size_t>(c)] =
              (v / 255 - static_cast<double>(op.mean[c])) / static_cast<double>(op.std[c]);
        }
      }
      if (row.flip) std::reverse(line.begin(), line.end());
      for (const auto& pixel : line) y.insert(y.end(), pixel.begin(), pixel.end());
    }
  }
  return y;
}

}  // namespace convoy::reference
