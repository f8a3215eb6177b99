// SPDX-License-Identifier: MIT
#pragma once
// The StepState of a device: a host copy that the training loop sets, and the device's memory that
// kernels read. On cpu both are the same.
//
//   step_state(device).host().learning_rate[0] = 0.1f;
//   step_state(device).upload(stream);              // before the step's first kernel

#include "kernels/step_state.h"
#include "runtime/device.h"

namespace convoy {

class StepStateBuffer {
 public:
  explicit StepStateBuffer(const Device& device);
  ~StepStateBuffer();
  StepStateBuffer(const StepStateBuffer&) = delete;
  StepStateBuffer& operator=(const StepStateBuffer&) = delete;

  StepState& host() { return host_; }
  void upload(const Stream& stream);
  // What kernels take.
  StepState* device_pointer() { return on_device_; }

 private:
  Device device_;
  StepState host_;
  StepState* on_device_ = nullptr;
};

StepStateBuffer& step_state(const Device& device);

}  // namespace convoy
