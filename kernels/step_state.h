// SPDX-License-Identifier: MIT
#pragma once
// Everything that changes from one training step to the next, in device memory, so that a step
// can be recorded once and replayed: kernels read it through a pointer and never take such a value
// as an argument. The host writes it before a step.

#include <cstdint>

namespace convoy {

inline constexpr int kMaxParameterGroups = 8;

struct StepState {
  std::int64_t step = 0;  // optimizer steps taken so far; also the position of random streams
  float learning_rate[kMaxParameterGroups] = {};  // one per parameter group
  float loss_scale = 1;
  float clip_factor = 1;        // gradients are multiplied by this (norm clipping)
  float gradient_factor = 1;    // and by this (1 / valid samples, 1 / accumulation, 1 / loss_scale)
  float ema_decay = 0;          // weight of the old average
  std::int32_t found_inf = 0;   // not 0: the optimizer leaves everything as it is
  std::int32_t input_slot = 0;  // which fixed input buffer this step reads
};

}  // namespace convoy
