// SPDX-License-Identifier: MIT
#include "runtime/ops/binary.h"

#include "kernels/reduce.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

void launch(BinaryFn fn, const Tensor& a, const Tensor& b, const Tensor& y, double scale = 1,
            bool accumulate = false) {
  run(Binary{fn, y.shape(), broadcast_strides(a.shape(), a.strides(), y.shape()),
             broadcast_strides(b.shape(), b.strides(), y.shape()), a.data(), b.data(), y.data(),
             y.dtype(), scale, accumulate},
      y.stream());
}

Tensor forward(BinaryFn fn, const Tensor& a, const Tensor& b) {
  require(a.dtype() == b.dtype(), "{}: operands expect one dtype, found {} and {}; cast one", fn,
          a.dtype(), b.dtype());
  require(a.device() == b.device(), "{}: operands expect one device, found {} and {}", fn,
          a.device(), b.device());
  const Shape shape =
      a.shape() == b.shape() ? a.shape() : broadcast_shapes(name(fn), a.shape(), b.shape());
  const Tensor y = empty(shape, a.like());
  launch(fn, a, b, y);
  return y;
}

// Gradient of an operand of shape `to` that stood beside y: scale * g, or scale * g * factor,
// summed over the dimensions in which the operand was broadcast.
void reduce_into(Grads& grads, int i, const Shape& to, const Tensor& g, double scale,
                 const Saved* factor = nullptr) {
  if (!grads.needs(i)) return;
  if (!factor && scale == 1 && to == g.shape()) return grads.pass(i, g);
  if (factor && to == g.shape()) {
    const GradDestination dx = grads.into(i);
    return launch(BinaryFn::mul, g, factor->tensor(), dx.tensor, scale, dx.accumulate);
  }
  const GradDestination dx = grads.into(i, grads.kept_in({i}));
  ReduceSum op{g.shape(), g.strides(),  broadcast_axes(g.shape(), to),
               g.data(),  dx.data(),    g.dtype(),
               scale,     dx.accumulate};
  op.out_dtype = dx.tensor.dtype();
  if (factor) {
    op.factor = factor->data();
    op.factor_strides = broadcast_strides(factor->shape(), factor->strides(), g.shape());
  }
  run(op, g.stream());
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return record("add", forward(BinaryFn::add, a, b), {a, b},
                [a = a.shape(), b = b.shape()](const Tensor& dy, Grads& grads) {
                  reduce_into(grads, 0, a, dy, 1);
                  reduce_into(grads, 1, b, dy, 1);
                });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return record("sub", forward(BinaryFn::sub, a, b), {a, b},
                [a = a.shape(), b = b.shape()](const Tensor& dy, Grads& grads) {
                  reduce_into(grads, 0, a, dy, 1);
                  reduce_into(grads, 1, b, dy, -1);
                });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record("mul", forward(BinaryFn::mul, a, b), {a, b},
                [a = save(a), b = save(b)](const Tensor& dy, Grads& grads) {
                  reduce_into(grads, 0, a.shape(), dy, 1, &b);
                  reduce_into(grads, 1, b.shape(), dy, 1, &a);
                });
}

Tensor div(const Tensor& a, const Tensor& b) {
  const Tensor y = forward(BinaryFn::div, a, b);
  return record("div", y, {a, b},
                [a = a.shape(), b = save(b), y = save(y)](const Tensor& dy, Grads& grads) {
                  const Tensor share = forward(BinaryFn::div, dy, b.tensor());
                  reduce_into(grads, 0, a, share, 1);
                  reduce_into(grads, 1, b.shape(), share, -1, &y);
                });
}

}  // namespace convoy
