// SPDX-License-Identifier: MIT
#include "runtime/ops/subsample.h"

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

void fill_zero(const Tensor& t) {
  run(Fill{.count = t.count(), .y = t.data(), .value = 0, .dtype = t.dtype()}, t.stream());
}

// The address of channel `channel` of the first pixel.
char* at_channel(const Tensor& t, std::int64_t channel) {
  return static_cast<char*>(t.data()) + channel * static_cast<std::int64_t>(size_of(t.dtype()));
}

// The strides of every stride-th pixel, each way.
Strides of_every(std::int64_t stride, const Strides& s) {
  return {s[0], s[1] * stride, s[2] * stride, s[3]};
}

}  // namespace

Tensor subsample_pad(const Tensor& x, std::int64_t stride, std::int64_t padding) {
  require(x.rank() == 4 && stride >= 1 && padding >= 0,
          "subsample_pad: expects [N, H, W, C], a stride of 1 or more and padding of 0 or more, "
          "found shape {}, {} and {}",
          x.shape(), stride, padding);
  const std::int64_t channels = x.size(3);
  const Shape taken{x.size(0), (x.size(1) + stride - 1) / stride, (x.size(2) + stride - 1) / stride,
                    channels};
  const Tensor y = empty({taken[0], taken[1], taken[2], channels + 2 * padding}, x.like());
  if (padding > 0) fill_zero(y);
  run(Copy{.shape = taken,
           .x_strides = of_every(stride, x.strides()),
           .y_strides = y.strides(),
           .x = x.data(),
           .y = at_channel(y, padding),
           .dtype = x.dtype()},
      x.stream());

  return record("subsample_pad", y, {x}, [taken, stride, padding](const Tensor& dy, Grads& grads) {
    const GradDestination dx = grads.into(0);
    if (!dx.accumulate && stride > 1) fill_zero(dx.tensor);
    run(Copy{.shape = taken,
             .x_strides = dy.strides(),
             .y_strides = of_every(stride, dx.tensor.strides()),
             .x = at_channel(dy, padding),
             .y = dx.data(),
             .dtype = dy.dtype(),
             .accumulate = dx.accumulate},
        dy.stream());
  });
}

}  // namespace convoy
