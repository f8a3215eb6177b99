// SPDX-License-Identifier: MIT
#include "runtime/ops/reduce.h"

#include <limits>

#include "kernels/binary.h"
#include "kernels/elementwise.h"
#include "kernels/reduce.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

std::uint32_t axes_of(const char* op, const Shape& shape, const Shape& dims) {
  std::uint32_t axes = 0;
  for (const std::int64_t dim : dims) {
    const int d = normalize_dim(op, static_cast<int>(dim), shape.rank());
    require((axes >> d & 1u) == 0, "{}: each dimension once expected, found {} in {}", op, dim,
            dims);
    axes |= 1u << d;
  }
  return dims.rank() == 0 ? (1u << shape.rank()) - 1 : axes;
}

// The input's shape with extents of 1 in the reduced places.
Shape flattened(const Shape& shape, std::uint32_t axes) {
  Shape result = shape;
  for (int d = 0; d < shape.rank(); ++d) {
    if (axes >> d & 1u) result[d] = 1;
  }
  return result;
}

Shape result_shape(const Shape& shape, std::uint32_t axes, bool keepdim) {
  return keepdim ? flattened(shape, axes) : kept_extents(shape, axes);
}

// dy, spread over the dimensions that were reduced: a view, nothing is copied.
Tensor spread(const Tensor& dy, const Shape& shape, std::uint32_t axes) {
  const Shape flat = flattened(shape, axes);
  return make_view(dy, dy.impl()->offset, shape,
                   broadcast_strides(flat, contiguous_strides(flat), shape));
}

Tensor scaled_sum(const char* op, const Tensor& x, std::uint32_t axes, bool keepdim, double scale) {
  const Tensor y = empty(result_shape(x.shape(), axes, keepdim), x.like());
  run(ReduceSum{x.shape(), x.strides(), axes, x.data(), y.data(), x.dtype(), scale}, x.stream());
  return record(op, y, {x}, [shape = x.shape(), axes, scale](const Tensor& dy, Grads& grads) {
    if (scale == 1) return grads.pass(0, spread(dy, shape, axes));
    const Tensor share = empty(dy.shape(), dy.like());
    run(Unary{UnaryFn::affine, dy.count(), dy.data(), share.data(), dy.dtype(), scale, 0},
        dy.stream());
    grads.pass(0, spread(share, shape, axes));
  });
}

MaxResult max_over(const Tensor& x, std::uint32_t axes, bool keepdim) {
  const Shape shape = result_shape(x.shape(), axes, keepdim);
  const Tensor values = empty(shape, x.like());
  const Tensor indices = empty(shape, {DType::i64, x.device()});
  run(ReduceMax{x.shape(), x.strides(), axes, x.data(), values.data(), indices.as<std::int64_t>(),
                x.dtype()},
      x.stream());
  record("max", values, {x},
         [shape = x.shape(), axes, indices = save(indices)](const Tensor& dy, Grads& grads) {
           const GradDestination dx = grads.into(0);
           run(ReduceMaxBackward{shape, axes, dy.data(),
                                 static_cast<const std::int64_t*>(indices.data()), dx.data(),
                                 dy.dtype(), dx.accumulate},
               dy.stream());
         });
  return {values, indices};
}

Tensor argmax_over(const Tensor& x, std::uint32_t axes, bool keepdim) {
  const Tensor indices = empty(result_shape(x.shape(), axes, keepdim), {DType::i64, x.device()});
  run(ReduceMax{x.shape(), x.strides(), axes, x.data(), nullptr, indices.as<std::int64_t>(),
                x.dtype()},
      x.stream());
  return indices;
}

}  // namespace

Tensor sum(const Tensor& x, const Shape& dims, bool keepdim) {
  return scaled_sum("sum", x, axes_of("sum", x.shape(), dims), keepdim, 1);
}

Tensor mean(const Tensor& x, const Shape& dims, bool keepdim) {
  const std::uint32_t axes = axes_of("mean", x.shape(), dims);
  const auto terms = static_cast<double>(reduced_extents(x.shape(), axes).count());
  const double scale = terms > 0 ? 1 / terms : std::numeric_limits<double>::quiet_NaN();
  return scaled_sum("mean", x, axes, keepdim, scale);
}

MaxResult max(const Tensor& x, int dim, bool keepdim) {
  return max_over(x, axes_of("max", x.shape(), {dim}), keepdim);
}

Tensor max(const Tensor& x) { return max_over(x, axes_of("max", x.shape(), {}), false).values; }

Tensor argmax(const Tensor& x, int dim, bool keepdim) {
  return argmax_over(x, axes_of("argmax", x.shape(), {dim}), keepdim);
}

Tensor argmax(const Tensor& x) { return argmax_over(x, axes_of("argmax", x.shape(), {}), false); }

}  // namespace convoy
