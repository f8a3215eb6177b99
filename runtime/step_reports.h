// SPDX-License-Identifier: MIT
#pragma once
// What a step found out, for the host, steps later: a ring of page-locked slots that StepState is
// copied into at a step's end. The host reads nothing back inside a step and waits for nothing.
//
//   StepReports reports(device);
//   optimizer.step();
//   reports.push(stream);
//   while (const auto report = reports.take()) log(report->loss_scale);   // in the steps' order

#include <cstddef>
#include <deque>
#include <optional>
#include <vector>

#include "runtime/step_state.h"

namespace convoy {

class StepReports {
 public:
  explicit StepReports(const Device& device, std::size_t depth = 4);
  ~StepReports();
  StepReports(const StepReports&) = delete;
  StepReports& operator=(const StepReports&) = delete;

  // Enqueues a copy of the device's StepState as it will be here. Throws Error when the ring is
  // full: take one first.
  void push(const Stream& stream);
  bool full() const { return under_way_.size() == slots_.size(); }
  bool empty() const { return under_way_.empty(); }

  // The oldest report, if it has arrived.
  std::optional<StepState> take();
  // The oldest report; waits for it. Throws Error when there is none.
  StepState wait();

 private:
  struct Slot {
    PinnedBuffer memory;
    Event copied;
  };
  StepState pop();

  Device device_;
  std::vector<Slot> slots_;
  std::deque<std::size_t> under_way_;  // slots, oldest first
  std::size_t next_ = 0;
};

}  // namespace convoy
