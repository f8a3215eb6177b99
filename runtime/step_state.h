// SPDX-License-Identifier: MIT
#pragma once
// The StepState of a device: a host copy that the training loop sets, and the device's memory that
// kernels read. On cpu both are the same; elsewhere an upload goes through one of a few page-locked
// slots, so that the host need not wait for it. It leaves alone what is the device's own, of which
// the host's copy is out of date unless it has just been read.
//
//   step_state(device).host().learning_rate[0] = 0.1f;
//   step_state(device).upload(stream);              // before the step's first kernel

#include <vector>

#include "kernels/step_state.h"
#include "runtime/device.h"
#include "runtime/pinned.h"
#include "runtime/stream.h"

namespace convoy {

class StepStateBuffer {
 public:
  explicit StepStateBuffer(const Device& device);
  StepStateBuffer(DeviceBackend& backend, const Stream& stream);
  ~StepStateBuffer();
  StepStateBuffer(const StepStateBuffer&) = delete;
  StepStateBuffer& operator=(const StepStateBuffer&) = delete;

  StepState& host() { return host_; }
  // Enqueues the host's part as it is now; it may be changed as soon as this returns.
  void upload(const Stream& stream);
  // Waits for the device and brings the host's copy of the device's part up to date. Not for use
  // within a training step: runtime/step_reports.h waits for nothing.
  const StepState& read(const Stream& stream);
  // Enqueues both parts: a run begins, or is resumed. What is not to change has been read before.
  void upload_all(const Stream& stream);
  // What kernels take.
  StepState* device_pointer() { return on_device_; }

 private:
  void upload(std::size_t bytes, const Stream& stream);

  // A copy on its way to the device.
  struct Slot {
    PinnedBuffer memory;
    Event copied;
  };

  DeviceBackend& backend_;
  StepState host_;
  StepState* on_device_ = nullptr;
  std::vector<Slot> slots_;
  std::size_t next_ = 0;
};

StepStateBuffer& step_state(const Device& device);

}  // namespace convoy
