// SPDX-License-Identifier: MIT
#include "kernels/image.h"

#include <algorithm>

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// The normalised value of each byte: 256 values in place of a division per pixel.
template <class T>
struct Table {
  T value[kMaxImageChannels][256];

  explicit Table(const ImageNormalize& op) {
    for (std::int64_t c = 0; c < op.channels; ++c) {
      for (int v = 0; v < 256; ++v) {
        value[c][v] = static_cast<T>((v / 255.0 - double{op.mean[c]}) / double{op.std[c]});
      }
    }
  }
};

// One line of an output image. `line` is the input line, null where it lies outside the image.
template <class T>
void write_line(const ImageNormalize& op, const Table<T>& table, const std::uint8_t* line,
                const ImageRow& row, T* y) {
  for (std::int64_t w = 0; w < op.out_width; ++w, y += op.out_channels) {
    const std::int64_t from = (row.flip ? op.out_width - 1 - w : w) + row.offset_x;
    const bool inside = line && from >= 0 && from < op.width;
    for (std::int64_t c = 0; c < op.channels; ++c) {
      y[c] = table.value[c][inside ? line[from * op.channels + c] : 0];
    }
    for (std::int64_t c = op.channels; c < op.out_channels; ++c) y[c] = 0;
  }
}

template <class T>
void normalize(const ImageNormalize& op) {
  const Table<T> table(op);
  const std::int64_t line_size = op.width * op.channels;
  const std::int64_t out_line_size = op.out_width * op.out_channels;
  const std::int64_t grain =
      std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(out_line_size, 1));
  parallel_for(op.batch * op.out_height, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t n = i / op.out_height;
      const ImageRow row = op.rows ? op.rows[n] : ImageRow{};
      const std::int64_t image = op.index ? op.index[n] : n;
      const std::int64_t h = i % op.out_height + row.offset_y;
      const bool inside = h >= 0 && h < op.height;
      const std::uint8_t* line = inside ? op.x + (image * op.height + h) * line_size : nullptr;
      write_line(op, table, line, row, static_cast<T*>(op.y) + i * out_line_size);
    }
  });
}

}  // namespace

Plan plan(const ImageNormalize&, const Device&) { return {}; }

void run(const ImageNormalize& op, const Plan&, void*, const Stream&) {
  require_valid(op);
  for (std::int64_t n = 0; op.index && n < op.batch; ++n) {
    require(op.index[n] >= 0 && op.index[n] < op.images,
            "image: index {} expects to be below {} images, found {}", n, op.images, op.index[n]);
  }
  if (op.batch * op.out_height * op.out_width == 0) return;
  with_float(op.out_dtype, [&]<class T>(Type<T>) { normalize<T>(op); });
}

}  // namespace convoy::on_cpu
