// SPDX-License-Identifier: MIT
#pragma once
// Loss scaling: f16 has no numbers below 2^-24, and many gradients are smaller. So the gradient of
// the loss starts at a scale, and steps divide by it (StepState). Dynamic scaling finds the scale:
// a step whose gradients overflow is skipped and halves it, many good ones in a row double it
// (Micikevicius et al., arXiv:1710.03740, section 3.2). Host and device decide by the same
// function.
//
//   run(LossGradient{y, state, DType::f32}, {}, nullptr, stream);            // backward begins
//   run(LossScaleStep{state, {.dynamic = true}}, {}, nullptr, stream);       // a step ends

#include "kernels/base.h"

namespace convoy {

// The scale starts its gradient: *y = loss_scale.
struct LossGradient {
  void* y;  // one value
  const StepState* state;
  DType dtype;
};
CONVOY_KERNEL_OP(LossGradient)

struct LossScaling {
  bool dynamic = false;  // false: the scale stays
  float growth = 2;      // after `window` good steps in a row
  float backoff = 0.5;   // after a step that was skipped
  std::int32_t window = 2000;
  float least = 1;
};

// Counts the step, as an update or as skipped, and adjusts the scale. The last kernel of a step.
struct LossScaleStep {
  StepState* state;
  LossScaling scaling = {};
};
CONVOY_KERNEL_OP(LossScaleStep)

constexpr void end_step(StepState& s, const LossScaling& scaling) {
  const bool bad = s.found_inf != 0;
  s.updates += bad ? 0 : 1;
  s.skipped += bad ? 1 : 0;
  s.skipped_in_a_row = bad ? s.skipped_in_a_row + 1 : 0;
  if (!scaling.dynamic) return;
  s.good_steps = bad ? 0 : s.good_steps + 1;
  if (bad) {
    const float lower = s.loss_scale * scaling.backoff;
    s.loss_scale = lower < scaling.least ? scaling.least : lower;
  } else if (s.good_steps >= scaling.window) {
    const float higher = s.loss_scale * scaling.growth;
    s.loss_scale = higher < 0x1p126f ? higher : s.loss_scale;  // gradients of zero never overflow
    s.good_steps = 0;
  }
}

}  // namespace convoy
