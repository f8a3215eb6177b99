// SPDX-License-Identifier: MIT
#include "runtime/ops/dropout.h"

#include <algorithm>

#include "kernels/dropout.h"
#include "runtime/autograd.h"
#include "runtime/run.h"
#include "runtime/step_state.h"

namespace convoy {
namespace {

// The operands of one direction: the op is its own gradient.
Dropout dropout_of(const Tensor& from, void* to, const PhiloxKey& key, double p, std::int64_t row) {
  return {from.count(), from.data(), to, key, step_state(from.device()).device_pointer(), p,
          from.dtype(), row};
}

Tensor drop(const char* name, const Tensor& x, double p, const PhiloxKey& key, std::int64_t row) {
  const Tensor xc = x.contiguous();
  const Tensor y = empty(x.shape(), x.like());
  run(dropout_of(xc, y.data(), key, p, row), x.stream());
  const std::int64_t step = step_state(x.device()).host().step;
  return record(name, y, {x}, [name, p, key, row, step](const Tensor& dy, Grads& grads) {
    const std::int64_t now = step_state(dy.device()).host().step;
    require(now == step,
            "{}: backward expects step {}, in which the forward drew what it keeps, found step {}; "
            "call backward() before the step is moved on",
            name, step, now);
    const GradDestination dx = grads.into(0);
    Dropout op = dropout_of(dy, dx.data(), key, p, row);
    op.accumulate = dx.accumulate;
    run(op, dy.stream());
  });
}

}  // namespace

Tensor dropout(const Tensor& x, double p, const PhiloxKey& key) {
  return drop("dropout", x, p, key, 1);
}

Tensor drop_path(const Tensor& x, double p, const PhiloxKey& key) {
  require(x.rank() >= 1, "drop_path: x expects a batch dimension, found shape {}", x.shape());
  const std::int64_t samples = std::max<std::int64_t>(x.shape()[0], 1);
  return drop("drop_path", x, p, key, std::max<std::int64_t>(x.count() / samples, 1));
}

}  // namespace convoy
