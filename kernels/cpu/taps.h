// SPDX-License-Identifier: MIT
#pragma once
// A convolution as products of small matrices whose rows are the images of a batch: at one output
// pixel every image reads the same taps, so what the padding would multiply is simply left out.
// Images are laid out as [pixel][channel block][image][16] and a block of 16 filters as
// [tap][channel][16], the form that block_product.h multiplies. The backward pass to the input of
// stride s is s x s such convolutions, one for each phase, each with the taps that meet it.

#include <cstdint>

#include "kernels/conv2d_geometry.h"
#include "kernels/cpu/block_product.h"

namespace convoy::on_cpu::taps {

inline constexpr std::int64_t kMaxTaps = 8;  // along one axis

// One axis of one phase. Output i stands at position start + i * step and reads, through its tap
// number t, position i * source_step + offset[t], if that is inside [0, source_extent). Offsets
// ascend; tap[t] is the filter's tap.
struct Axis {
  std::int64_t outputs, start, step, source_step, source_extent, count;
  std::int64_t tap[kMaxTaps], offset[kMaxTaps];

  struct Range {
    std::int64_t begin, end;
  };
  Range inside(std::int64_t output) const;  // the taps that read inside
  bool reads(std::int64_t position) const;  // whether any output reads it
};

struct Phase {
  Axis h, w;
  std::int64_t taps() const { return h.count * w.count; }
};

// Sizes of what is read [N, H, W, C] and written [N, P, Q, K].
struct Images {
  std::int64_t N, H, W, C, P, Q, K;
};

Images forward_images(const Conv2dGeometry& g);
Images backward_images(const Conv2dGeometry& g);
Phase forward_phase(const Conv2dGeometry& g);
std::int64_t backward_phases(const Conv2dGeometry& g);
Phase backward_phase(const Conv2dGeometry& g, std::int64_t number);

// Some images, laid out: the lines of channel block b of pixel i start at (i * blocks + b) * pitch.
// The pitch is a line longer than the images fill, so that the lines of one pixel do not fall into
// one cache set.
struct Lines {
  std::int64_t first_image, images, blocks;
  float* data;
  std::int64_t pitch() const { return (images + 1) * kLine; }
  float* at(std::int64_t pixel, std::int64_t block) const {
    return data + (pixel * blocks + block) * pitch();
  }
};
// The floats that `pixels` pixels of `images` images take.
std::int64_t lines_size(std::int64_t pixels, std::int64_t blocks, std::int64_t images);

// Lays out channels [first_block * 16, (first_block + lines.blocks) * 16) of x [N, H, W, channels].
// With a phase, only the pixels that it reads.
void lay_out(const float* x, std::int64_t H, std::int64_t W, std::int64_t channels,
             std::int64_t first_block, const Phase* phase, const Lines& lines);

// The offset of output (i, j) of the phase in image n of y.
std::int64_t output_offset(const Images& m, const Phase& phase, std::int64_t n, std::int64_t i,
                           std::int64_t j);

// The sums m [image][16] at output (i, j) of the phase to one block of 16 channels of y.
struct Scatter {
  const Images* images;
  const Phase* phase;
  std::int64_t i, j, first_image, count, block;
  const float* m;
  const float* bias;  // [K], may be null
  float* y;
  bool accumulate;
};
void scatter(const Scatter& p);

// Zeros in the channel blocks given of some images of y.
void clear(const Images& m, std::int64_t first_image, std::int64_t images, std::int64_t first_block,
           std::int64_t last_block, float* y);

// One block of 16 outputs of the filters [K, R, S, C] as [tap of the phase][input channel][16];
// flipped: outputs are the filters' channels and inputs the filters.
struct Panel {
  const Conv2dGeometry* g;
  const Phase* phase;
  const float* weight;
  std::int64_t block;
  bool flipped;
  float* u;
};
void panel(const Panel& p);

}  // namespace convoy::on_cpu::taps
