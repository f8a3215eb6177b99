// SPDX-License-Identifier: MIT
#include "runtime/ops/view.h"

#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/reduce.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

Shape resolve_shape(const Shape& wanted, std::int64_t count) {
  Shape shape = wanted;
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && unknown < 0) {
      unknown = i;
    } else {
      known *= shape[i];
    }
  }
  if (unknown >= 0 && known > 0) shape[unknown] = count / known;
  for (std::int64_t extent : shape) {
    require(extent >= 0,
            "reshape: extents expect 0 or more, and one -1 where the others fix it; found {} for "
            "{} elements",
            wanted, count);
  }
  return shape;
}

Tensor view_of(const Tensor& x, const Shape& shape, const Strides& strides, std::int64_t skip = 0) {
  return make_view(x, x.impl()->offset + skip, shape, strides);
}

// The part of `whole` that slice() takes.
Tensor sliced(const Tensor& whole, int dim, std::int64_t begin, std::int64_t end) {
  Shape shape = whole.shape();
  shape[dim] = end - begin;
  return view_of(whole, shape, whole.strides(), begin * whole.strides()[dim]);
}

Tensor permuted(const Tensor& x, const Shape& order) {
  Shape shape = x.shape(), strides = x.strides();
  for (int i = 0; i < order.rank(); ++i) {
    shape[i] = x.shape()[static_cast<int>(order[i])];
    strides[i] = x.strides()[static_cast<int>(order[i])];
  }
  return view_of(x, shape, strides);
}

void require_permutation(const Shape& order, const Shape& shape) {
  unsigned seen = 0;
  for (std::int64_t d : order) {
    if (d >= 0 && d < shape.rank()) seen |= 1u << d;
  }
  require(order.rank() == shape.rank() && seen == (1u << shape.rank()) - 1,
          "permute: order expects each dimension of shape {} once, found {}", shape, order);
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  const Shape target = resolve_shape(shape, x.count());
  require(target.count() == x.count(), "reshape: shape {} has {} elements and does not fit {}",
          x.shape(), x.count(), shape);
  const Tensor dense = x.contiguous();
  return record("reshape", view_of(dense, target, contiguous_strides(target)), {dense},
                [from = x.shape()](const Tensor& dy, Grads& grads) {
                  grads.pass(0, view_of(dy, from, contiguous_strides(from)));
                });
}

Tensor permute(const Tensor& x, const Shape& order) {
  require_permutation(order, x.shape());
  Shape inverse = order;
  for (int i = 0; i < order.rank(); ++i) inverse[static_cast<int>(order[i])] = i;
  return record("permute", permuted(x, order), {x}, [inverse](const Tensor& dy, Grads& grads) {
    grads.pass(0, permuted(dy, inverse));
  });
}

Tensor transpose(const Tensor& x, int dim0, int dim1) {
  Shape order = x.shape();
  for (int i = 0; i < order.rank(); ++i) order[i] = i;
  const int a = normalize_dim("transpose", dim0, x.rank());
  const int b = normalize_dim("transpose", dim1, x.rank());
  std::swap(order[a], order[b]);
  return permute(x, order);
}

Tensor slice(const Tensor& x, int dim, std::int64_t begin, std::int64_t end) {
  const int d = normalize_dim("slice", dim, x.rank());
  require(0 <= begin && begin <= end && end <= x.shape()[d],
          "slice: range expects 0 <= begin <= end <= {} (dimension {} of shape {}), found [{}, {})",
          x.shape()[d], d, x.shape(), begin, end);
  return record("slice", sliced(x, d, begin, end), {x},
                [d, begin, end](const Tensor& dy, Grads& grads) {
                  const GradDestination dx = grads.into(0);
                  if (!dx.accumulate) dx.tensor.detach().fill_(0);
                  const Tensor part = sliced(dx.tensor, d, begin, end);
                  run(Copy{.shape = dy.shape(),
                           .x_strides = dy.strides(),
                           .y_strides = part.strides(),
                           .x = dy.data(),
                           .y = part.data(),
                           .dtype = dy.dtype(),
                           .accumulate = true},
                      dy.stream());
                });
}

Tensor expand(const Tensor& x, const Shape& shape) {
  for (std::int64_t extent : shape) {
    require(extent >= 0, "expand: extents expect 0 or more, found shape {}", shape);
  }
  const Strides strides = broadcast_strides(x.shape(), x.strides(), shape);
  return record("expand", view_of(x, shape, strides), {x},
                [from = x.shape()](const Tensor& dy, Grads& grads) {
                  const GradDestination dx = grads.into(0);
                  run(ReduceSum{dy.shape(), dy.strides(), broadcast_axes(dy.shape(), from),
                                dy.data(), dx.data(), dy.dtype(), 1, dx.accumulate},
                      dy.stream());
                });
}

Tensor flatten(const Tensor& x, int start_dim) {
  Shape shape;
  const int start = normalize_dim("flatten", start_dim, x.rank());
  for (int i = 0; i < start; ++i) shape.push_back(x.shape()[i]);
  std::int64_t rest = 1;
  for (int i = start; i < x.rank(); ++i) rest *= x.shape()[i];
  shape.push_back(rest);
  return reshape(x, shape);
}

}  // namespace convoy
