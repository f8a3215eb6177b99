// SPDX-License-Identifier: MIT
// One thread each: what a step decides, it decides on the device.
#include "kernels/loss_scale.h"

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class T>
__global__ void __launch_bounds__(1) start_at_loss_scale(T* y, const StepState* state) {
  begin_kernel();
  *y = narrow<T>(state->loss_scale);
}

__global__ void __launch_bounds__(1) end_of_step(StepState* state, LossScaling scaling) {
  begin_kernel();
  end_step(*state, scaling);
}

}  // namespace

Plan plan(const LossGradient&, const Device&) { return {.variant = "one_thread"}; }

void run(const LossGradient& op, const Plan&, void*, const Stream& stream) {
  with_dtype("loss gradient", op.dtype, [&]<class T>(Type<T>) {
    launch({.grid = 1, .block = 1, .stream = stream}, start_at_loss_scale<T>, static_cast<T*>(op.y),
           op.state);
  });
}

Plan plan(const LossScaleStep&, const Device&) { return {.variant = "one_thread"}; }

void run(const LossScaleStep& op, const Plan&, void*, const Stream& stream) {
  launch({.grid = 1, .block = 1, .stream = stream}, end_of_step, op.state, op.scaling);
}

}  // namespace convoy::CONVOY_TARGET
