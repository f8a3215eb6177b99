// SPDX-License-Identifier: MIT
#pragma once
// Loss scaling for half gradients (kernels/loss_scale.h has the rule): the gradient of the loss
// starts at the scale, the optimizer divides by it, and a step whose gradients are not finite is
// skipped. All of it is decided on the device; what came of a step is in its report.
//
//   ParameterStore store(model, device, {}, DType::f16);
//   GradScaler scaler(device, {});
//   optimizer.begin_step(learning_rate);
//   scaler.backward(cross_entropy(model(x), y));
//   scaler.step(optimizer);

#include "nn/optimizer.h"

namespace convoy::nn {

// Steps skipped in a row after which training has nowhere to go.
inline constexpr int kMostSkippedInARow = 50;

struct GradScalerOptions {
  double initial_scale = 65536;
  bool dynamic = true;  // false: the scale stays
  int window = 2000;    // good steps in a row after which the scale doubles
  double least = 1;     // it is never halved below
};

class GradScaler {
 public:
  // Sets the device's loss scale; the destructor takes it back to 1.
  GradScaler(const Device& device, const GradScalerOptions& options);
  ~GradScaler();
  GradScaler(const GradScaler&) = delete;
  GradScaler& operator=(const GradScaler&) = delete;

  // Of one value. May be called several times in a step: gradients add up.
  void backward(const Tensor& loss) const;
  // Checks the gradients, takes the step or skips it, and adjusts the scale.
  void step(Optimizer& optimizer) const;

  // When a run is resumed: as its last report had it.
  void restore(const StepState& saved);

 private:
  Device device_;
  LossScaling scaling_;
};

// Throws Error (diverged) when kMostSkippedInARow steps before the report and it were skipped; the
// text names the first parameter whose gradient was not finite.
void require_progress(const StepState& report, const ParameterStore& store);

}  // namespace convoy::nn
