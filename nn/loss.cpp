// SPDX-License-Identifier: MIT
#include "nn/loss.h"

#include "runtime/ops/binary.h"
#include "runtime/ops/concat.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/reduce.h"
#include "runtime/ops/softmax.h"
#include "runtime/ops/view.h"

namespace convoy::nn {
namespace {

Tensor reduced(const Tensor& each, Reduction reduction) {
  if (reduction == Reduction::none) return each;
  return reduction == Reduction::sum ? sum(each) : mean(each);
}

Tensor absolute(const Tensor& x) { return relu(x) + relu(-x); }

// log(1 + e^z), as minus the log-probability of the first of two classes with logits 0 and z:
// stable for every z, and its derivative is right at 0 too.
Tensor softplus(const Tensor& z) {
  const Tensor column = reshape(z, {z.count(), 1});
  const Tensor both = concat({zeros(column.shape(), z.like()), column}, 1);
  return -reshape(slice(log_softmax(both), 1, 0, 1), z.shape());
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& y, Reduction reduction) {
  return reduced(square(x - y), reduction);
}

Tensor l1_loss(const Tensor& x, const Tensor& y, Reduction reduction) {
  return reduced(absolute(x - y), reduction);
}

Tensor huber_loss(const Tensor& x, const Tensor& y, double delta, Reduction reduction) {
  require(delta > 0, "huber_loss: delta expects a value above 0, found {}", delta);
  const Tensor d = absolute(x - y);
  const Tensor near = clamp(d, 0, delta);
  return reduced(0.5 * square(near) + delta * (d - near), reduction);
}

Tensor bce_with_logits(const Tensor& logits, const Tensor& y, Reduction reduction) {
  return reduced(softplus(logits) - logits * y, reduction);
}

}  // namespace convoy::nn
