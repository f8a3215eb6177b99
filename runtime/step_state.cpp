// SPDX-License-Identifier: MIT
#include "runtime/step_state.h"

namespace convoy {

StepStateBuffer::StepStateBuffer(const Device& device) : device_(device) {
  if (backend(device).host_accessible()) {
    on_device_ = &host_;
    return;
  }
  on_device_ = static_cast<StepState*>(backend(device).allocate(sizeof(StepState)));
  require(on_device_ != nullptr, "step state: {} has no memory for {} bytes", device,
          sizeof(StepState));
  upload(backend(device).default_stream());
}

StepStateBuffer::~StepStateBuffer() {
  if (on_device_ != &host_) backend(device_).release(on_device_, sizeof(StepState));
}

void StepStateBuffer::upload(const Stream& stream) {
  if (on_device_ != &host_) backend(device_).copy(on_device_, &host_, sizeof(StepState), stream);
}

StepStateBuffer& step_state(const Device& device) {
  static StepStateBuffer& cpu = *new StepStateBuffer(Device{});
  require(device.type == DeviceType::cpu, "step state: none for device {}", device);
  return cpu;
}

}  // namespace convoy
