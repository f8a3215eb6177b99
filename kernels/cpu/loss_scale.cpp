// SPDX-License-Identifier: MIT
#include "kernels/loss_scale.h"

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {

Plan plan(const LossGradient&, const Device&) { return {}; }

void run(const LossGradient& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) {
    *static_cast<T*>(op.y) = static_cast<T>(op.state->loss_scale);
  });
}

Plan plan(const LossScaleStep&, const Device&) { return {}; }

void run(const LossScaleStep& op, const Plan&, void*, const Stream&) {
  end_step(*op.state, op.scaling);
}

}  // namespace convoy::on_cpu
