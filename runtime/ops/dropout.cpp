// SPDX-License-Identifier: MIT
#include "runtime/ops/dropout.h"

#include <algorithm>

#include "kernels/dropout.h"
#include "runtime/autograd.h"
#include "runtime/random.h"
#include "runtime/run.h"
#include "runtime/step_state.h"

namespace convoy {
namespace {

// What both directions have in common: the op is its own gradient.
struct Drop {
  const char* name;
  PhiloxKey key;
  double p;
  std::int64_t row, first;  // as in kernels/dropout.h

  void operator()(const Tensor& from, void* to, bool accumulate) const {
    StepState* const state = step_state(from.device()).device_pointer();
    run(Dropout{from.count(), from.data(), to, key, state, p, from.dtype(), row, first, accumulate},
        from.stream());
  }
};

// A scalar is one row.
std::int64_t row_size(const Tensor& x) {
  return x.count() / std::max<std::int64_t>(x.rank() > 0 ? x.size(0) : 1, 1);
}

Tensor drop(const Tensor& x, const Drop& op) {
  const Tensor xc = x.contiguous();
  const Tensor y = empty(x.shape(), x.like());
  op(xc, y.data(), false);
  const std::int64_t step = step_state(x.device()).host().step;
  return record(op.name, y, {x}, [op, step](const Tensor& dy, Grads& grads) {
    const std::int64_t now = step_state(dy.device()).host().step;
    require(now == step,
            "{}: backward expects step {}, in which the forward drew what it keeps, found step {}; "
            "call backward() before the step is moved on",
            op.name, step, now);
    const GradDestination dx = grads.into(0);
    op(dy, dx.data(), dx.accumulate);
  });
}

}  // namespace

Tensor dropout(const Tensor& x, double p, const PhiloxKey& key) {
  return drop(x, {"dropout", key, p, 1, first_row() * row_size(x)});
}

Tensor drop_path(const Tensor& x, double p, const PhiloxKey& key) {
  require(x.rank() >= 1, "drop_path: x expects a batch dimension, found shape {}", x.shape());
  const std::int64_t row = std::max<std::int64_t>(row_size(x), 1);
  return drop(x, {"drop_path", key, p, row, first_row() * row});
}

}  // namespace convoy
