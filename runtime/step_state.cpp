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
  upload_all(stream);
}

StepStateBuffer::~StepStateBuffer() {
  if (on_device_ != &host_) backend_.release(on_device_, sizeof(StepState));
}

void StepStateBuffer::upload(const Stream& stream) { upload(kHostPartOfStepState, stream); }
void StepStateBuffer::upload_all(const Stream& stream) { upload(sizeof(StepState), stream); }

const StepState& StepStateBuffer::read(const Stream& stream) {
  if (on_device_ == &host_) return host_;
  const PinnedBuffer memory(backend_, sizeof(StepState));
  backend_.copy(memory.data(), on_device_, sizeof(StepState), stream);
  backend_.synchronize(stream);
  std::memcpy(reinterpret_cast<std::byte*>(&host_) + kHostPartOfStepState,
              static_cast<const std::byte*>(memory.data()) + kHostPartOfStepState,
              sizeof(StepState) - kHostPartOfStepState);
  return host_;
}

void StepStateBuffer::upload(std::size_t bytes, const Stream& stream) {
  if (on_device_ == &host_) return;
  Slot& slot = slots_[next_++ % slots_.size()];
  slot.copied.synchronize();
  std::memcpy(slot.memory.data(), &host_, bytes);
  backend_.copy(on_device_, slot.memory.data(), bytes, stream);
  slot.copied.record(stream);
}

StepStateBuffer& step_state(const Device& device) {
  static StepStateBuffer& cpu = *new StepStateBuffer(Device{});
  if (device.type == DeviceType::cpu) return cpu;
  return per_device<StepStateBuffer>(device, [&] { return new StepStateBuffer(device); });
}

}  // namespace convoy
