// SPDX-License-Identifier: MIT
#pragma once
// The lines of a run's steps, and their sums over an epoch. What the device found out about a step
// (its loss, was it skipped, what is the loss scale now) arrives steps later, so a step's line
// waits for its report.
//
//   StepLog steps(device, store, &log, {});
//   step.run();
//   steps.add(metrics);            // writes the lines whose reports have arrived
//   steps.finish();                // and those of all steps so far

#include <deque>

#include "apps/trainer/run_log.h"
#include "nn/parameter_store.h"
#include "runtime/step_reports.h"

namespace convoy::apps {

// Of the steps whose reports have arrived; those that were skipped have no loss.
struct StepSums {
  double loss = 0, correct = 0;
  std::int64_t images = 0;
};

class StepLog {
 public:
  // `before`: the last report of a run that is resumed. With mixed precision a loss that is not
  // finite is no error: the step is skipped. The others must outlive this; without a `log` nothing
  // is written.
  StepLog(const Device& device, const nn::ParameterStore& store, RunLog* log,
          const StepState& before, bool mixed_precision);

  // To be called after the step, with all but what its report will say. Throws Error (diverged)
  // when an earlier one's loss is not finite, or when too many steps in a row have been skipped
  // (nn/grad_scaler.h).
  void add(const StepMetrics& metrics);
  void finish();

  void begin_epoch() { sums_ = {}; }
  const StepSums& sums() const { return sums_; }

  // The newest report; all steps' after finish().
  const StepState& last() const { return last_; }

 private:
  void write(const StepState& report);

  Device device_;
  const nn::ParameterStore& store_;
  RunLog* log_;
  StepReports reports_;
  std::deque<StepMetrics> waiting_;
  StepState last_;
  StepSums sums_;
  bool mixed_precision_;
};

}  // namespace convoy::apps
