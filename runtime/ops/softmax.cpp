// SPDX-License-Identifier: MIT
#include "runtime/ops/softmax.h"

#include "kernels/softmax.h"
#include "runtime/autograd.h"
#include "runtime/ops/view.h"
#include "runtime/run.h"

namespace convoy {
namespace {

// Over the last dimension.
Tensor forward(const Tensor& x, bool log) {
  const Tensor y = empty(x.shape(), x.like());
  const std::int64_t classes = x.shape().back();
  if (x.count() == 0) return y;
  run(SoftmaxForward{x.count() / classes, classes, x.contiguous().data(), y.data(), log, x.dtype()},
      x.stream());
  return y;
}

void backward(const Saved& y, bool log, const Tensor& dy, Grads& grads) {
  const GradDestination dx = grads.into(0);
  const std::int64_t classes = dy.shape().back();
  if (dy.count() == 0) return;
  run(SoftmaxBackward{dy.count() / classes, classes, y.data(), dy.data(), dx.data(), dx.accumulate,
                      log, dy.dtype()},
      dy.stream());
}

}  // namespace

Tensor softmax(const Tensor& x, int dim) {
  const int d = normalize_dim("softmax", dim, x.rank());
  if (d != x.rank() - 1) return transpose(softmax(transpose(x, d, -1)), d, -1);
  const Tensor y = forward(x, false);
  return record("softmax", y, {x},
                [y = save(y)](const Tensor& dy, Grads& grads) { backward(y, false, dy, grads); });
}

Tensor log_softmax(const Tensor& x, int dim) {
  const int d = normalize_dim("log_softmax", dim, x.rank());
  if (d != x.rank() - 1) return transpose(log_softmax(transpose(x, d, -1)), d, -1);
  const Tensor y = forward(x, true);
  return record("log_softmax", y, {x},
                [y = save(y)](const Tensor& dy, Grads& grads) { backward(y, true, dy, grads); });
}

}  // namespace convoy
