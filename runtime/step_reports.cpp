// SPDX-License-Identifier: MIT
#include "runtime/step_reports.h"

#include <cstring>

namespace convoy {

StepReports::StepReports(const Device& device, std::size_t depth) : device_(device) {
  require(depth > 0, "step reports: expects room for one at least, found none");
  for (std::size_t i = 0; i < depth; ++i) {
    slots_.push_back({PinnedBuffer(device, sizeof(StepState)), Event(backend(device))});
  }
}

// The copies must not outlive what they write to.
StepReports::~StepReports() {
  for (const std::size_t slot : under_way_) slots_[slot].copied.settle();
}

void StepReports::push(const Stream& stream) {
  require(!full(), "step reports: all {} slots are under way; take one before the next step",
          slots_.size());
  Slot& slot = slots_[next_];
  backend(device_).copy(slot.memory.data(), step_state(device_).device_pointer(), sizeof(StepState),
                        stream);
  slot.copied.record(stream);
  under_way_.push_back(next_);
  next_ = (next_ + 1) % slots_.size();
}

StepState StepReports::pop() {
  StepState report;
  std::memcpy(&report, slots_[under_way_.front()].memory.data(), sizeof(StepState));
  under_way_.pop_front();
  return report;
}

std::optional<StepState> StepReports::take() {
  if (empty() || !slots_[under_way_.front()].copied.has_passed()) return std::nullopt;
  return pop();
}

StepState StepReports::wait() {
  require(!empty(), "step reports: none is under way");
  slots_[under_way_.front()].copied.synchronize();
  return pop();
}

}  // namespace convoy
