// SPDX-License-Identifier: MIT
#include "nn/grad_scaler.h"

#include <cmath>

#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy::nn {
namespace {

// Changes what is the device's own, and nothing else of it.
template <class F>
void change_state(const Device& device, F&& change) {
  StepStateBuffer& state = step_state(device);
  const Stream stream = current_stream(device);
  state.read(stream);
  change(state.host());
  state.upload_all(stream);
}

}  // namespace

GradScaler::GradScaler(const Device& device, const GradScalerOptions& o) : device_(device) {
  require(o.initial_scale > 0 && std::isfinite(o.initial_scale),
          "grad scaler: the scale expects a number above 0, found {}", o.initial_scale);
  require(o.window >= 1, "grad scaler: the window expects 1 step or more, found {}", o.window);
  require(
      o.least > 0 && o.least <= o.initial_scale,
      "grad scaler: the least scale expects a number above 0 and up to the initial {}, found {}",
      o.initial_scale, o.least);
  scaling_ = {.dynamic = o.dynamic, .window = o.window, .least = static_cast<float>(o.least)};
  change_state(device, [&](StepState& s) {
    s.loss_scale = static_cast<float>(o.initial_scale);
    s.good_steps = 0;
  });
}

GradScaler::~GradScaler() {
  try {
    change_state(device_, [](StepState& s) { s.loss_scale = 1; });
  } catch (...) {  // an error of work before: whoever waits for the device next gets it
    backend(device_).defer(std::current_exception());
  }
}

void GradScaler::backward(const Tensor& loss) const {
  const Tensor gradient = empty(loss.shape(), loss.like());
  require(loss.count() == 1, "grad scaler: the loss expects one value, found shape {}",
          loss.shape());
  run(LossGradient{gradient.data(), step_state(device_).device_pointer(), loss.dtype()},
      loss.stream());
  loss.backward(gradient);
}

void GradScaler::step(Optimizer& optimizer) const {
  optimizer.check_finite();
  optimizer.step(scaling_);
}

void GradScaler::restore(const StepState& saved) {
  change_state(device_, [&](StepState& s) {
    s.loss_scale = saved.loss_scale;
    s.good_steps = saved.good_steps;
    s.skipped_in_a_row = saved.skipped_in_a_row;
  });
}

void require_progress(const StepState& report, const ParameterStore& store) {
  if (report.skipped_in_a_row < kMostSkippedInARow) return;
  const std::string where = report.first_bad == kNoParameter
                                ? "their norm is not finite"
                                : fmt::format("the first that is not finite is that of {}",
                                              store.name_of(report.first_bad));
  throw Error(
      fmt::format(
          "{} steps in a row were skipped, the last at loss scale {}: gradients are infinite "
          "or NaN; {}; try a lower --lr, --clip-grad 1 or --amp-dtype bfloat16",
          report.skipped_in_a_row, report.loss_scale, where),
      ErrorKind::diverged);
}

}  // namespace convoy::nn
