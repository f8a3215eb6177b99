// SPDX-License-Identifier: MIT
#include "runtime/ops/pool2d.h"

#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

Tensor average(const Tensor& x, const Pool2dGeometry& g, const Shape& shape) {
  const Tensor y = empty(shape, x.like());
  run(AvgPool2dForward{g, x.contiguous().data(), y.data(), x.dtype()}, x.stream());
  return y;
}

void average_backward(const Pool2dGeometry& g, const Tensor& dy, Grads& grads) {
  const GradDestination dx = grads.into(0);
  run(AvgPool2dBackward{g, dy.data(), dx.data(), dx.accumulate, dy.dtype()}, dy.stream());
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  const Pool2dGeometry g = pool2d_geometry("max_pool2d", x.shape(), options);
  const Tensor y = empty(g.output_shape(), x.like());
  Tensor indices;
  const Input input[] = {x};
  if (must_record(input)) indices = empty(y.shape(), {DType::i32, x.device()});
  run(MaxPool2dForward{g, x.contiguous().data(), y.data(),
                       indices.defined() ? indices.as<std::int32_t>() : nullptr, x.dtype()},
      x.stream());
  return record("max_pool2d", y, {x}, [g, indices = save(indices)](const Tensor& dy, Grads& grads) {
    const GradDestination dx = grads.into(0);
    run(MaxPool2dBackward{g, dy.data(), static_cast<const std::int32_t*>(indices.data()), dx.data(),
                          dx.accumulate, dy.dtype()},
        dy.stream());
  });
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) {
  require(options.dilation == PoolSize{1, 1}, "avg_pool2d: dilation expects 1 x 1, found {} x {}",
          options.dilation[0], options.dilation[1]);
  const Pool2dGeometry g = pool2d_geometry("avg_pool2d", x.shape(), options);
  return record("avg_pool2d", average(x, g, g.output_shape()), {x},
                [g](const Tensor& dy, Grads& grads) { average_backward(g, dy, grads); });
}

Tensor adaptive_avg_pool2d(const Tensor& x, const PoolSize& output_size) {
  const Pool2dGeometry g = adaptive_pool2d_geometry("adaptive_avg_pool2d", x.shape(), output_size);
  return record("adaptive_avg_pool2d", average(x, g, g.output_shape()), {x},
                [g](const Tensor& dy, Grads& grads) { average_backward(g, dy, grads); });
}

Tensor global_avg_pool(const Tensor& x) {
  const Pool2dGeometry g = adaptive_pool2d_geometry("global_avg_pool", x.shape(), {1, 1});
  return record("global_avg_pool", average(x, g, {g.batch, g.channels}), {x},
                [g](const Tensor& dy, Grads& grads) { average_backward(g, dy, grads); });
}

}  // namespace convoy
