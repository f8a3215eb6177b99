// SPDX-License-Identifier: MIT
#pragma once
// Everything that changes from one training step to the next, in device memory, so that a step
// can be recorded once and replayed: kernels read it through a pointer and never take such a value
// as an argument. The host writes the first part before a step. The second belongs to the device,
// which moves it on at a step's end (kernels/loss_scale.h); the host sees it steps later
// (runtime/step_reports.h).

#include <cstddef>
#include <cstdint>

namespace convoy {

inline constexpr int kMaxParameterGroups = 8;
inline constexpr std::int32_t kNoParameter = INT32_MAX;

struct StepState {
  std::int64_t step = 0;  // steps so far, skipped ones too; the position of random streams
  float learning_rate[kMaxParameterGroups] = {};  // one per parameter group
  float gradient_factor = 1;    // gradients are multiplied by this (1 / valid, 1 / accumulation)
  float ema_decay = 0;          // weight of the old average
  std::int32_t input_slot = 0;  // which fixed input buffer this step reads
  // As the host leaves them until the step finds out.
  float clip_factor = 1;                  // gradients are multiplied by this too (norm clipping)
  float gradient_norm = 0;                // of all gradients, before clipping
  std::int32_t found_inf = 0;             // not 0: the optimizer leaves everything as it is
  std::int32_t first_bad = kNoParameter;  // first parameter with a gradient that is not finite
  float loss = 0;                         // of the step's batches, added up
  std::int64_t correct[3] = {};           // likewise, as TopKCount counts

  std::int64_t updates = 0;           // steps that were not skipped
  float loss_scale = 1;               // what the loss's gradient starts at; taken out again below
  std::int32_t good_steps = 0;        // since the loss scale was last changed
  std::int64_t skipped = 0;           // steps that were
  std::int32_t skipped_in_a_row = 0;  // the last so many
};

// How much of it the host writes.
inline constexpr std::size_t kHostPartOfStepState = offsetof(StepState, updates);

// What makes gradients of them, but for the clipping.
constexpr float unscale_factor(const StepState& state) {
  return state.gradient_factor / state.loss_scale;
}

}  // namespace convoy
