// SPDX-License-Identifier: MIT
#include "runtime/step_state.h"

#include <cstring>

#include "runtime/per_device.h"

namespace convoy {
namespace {

// Uploads that may be under way at once.
constexpr int kSlots = 4;

}  // namespace

StepStateBuffer::StepStateBuffer(const Device& device)
    : StepStateBuffer(backend(device), backend(device).default_stream()) {}

StepStateBuffer::StepStateBuffer(DeviceBackend& backend, const Stream& stream) : backend_(backend) {
  if (backend.host_accessible()) {
    on_device_ = &host_;
    return;
  }
  on_device_ = static_cast<StepState*>(backend.allocate(sizeof(StepState)));
  require(on_device_ != nullptr, "step state: {} has no memory for {} bytes", stream.device,
          sizeof(StepState));
  for (int i = 0; i < kSlots; ++i) {
    slots_.push_back({PinnedBuffer(backend, sizeof(StepState)), Event(backend)});
  }
  upload(stream);
}

StepStateBuffer::~StepStateBuffer() {
  if (on_device_ != &host_) backend_.release(on_device_, sizeof(StepState));
}

void StepStateBuffer::upload(const Stream& stream) {
  if (on_device_ == &host_) return;
  Slot& slot = slots_[next_++ % slots_.size()];
  slot.copied.synchronize();
  std::memcpy(slot.memory.data(), &host_, sizeof(StepState));
  backend_.copy(on_device_, slot.memory.data(), sizeof(StepState), stream);
  slot.copied.record(stream);
}

StepStateBuffer& step_state(const Device& device) {
  static StepStateBuffer& cpu = *new StepStateBuffer(Device{});
  if (device.type == DeviceType::cpu) return cpu;
  return per_device<StepStateBuffer>(device, [&] { return new StepStateBuffer(device); });
}

}  // namespace convoy
