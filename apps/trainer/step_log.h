// SPDX-License-Identifier: MIT
#pragma once
// The lines of a run's steps. What the device decided about a step (was it skipped, what is the
// loss scale now) arrives steps later, so a step's line waits for its report.
//
//   StepLog steps(device, store, log, {});
//   optimizer.step();
//   steps.add(metrics);            // writes the lines whose reports have arrived
//   steps.finish();                // and those of all steps so far

#include <deque>

#include "apps/trainer/run_log.h"
#include "nn/parameter_store.h"
#include "runtime/step_reports.h"

namespace convoy::apps {

class StepLog {
 public:
  // `before`: the last report of a run that is resumed. The others must outlive this.
  StepLog(const Device& device, const nn::ParameterStore& store, RunLog& log,
          const StepState& before);

  // To be called after the optimizer's step. Throws Error (diverged) when too many steps in a row
  // have been skipped (nn/grad_scaler.h).
  void add(const StepMetrics& metrics);
  void finish();

  // The newest report; all steps' after finish().
  const StepState& last() const { return last_; }

 private:
  void write(const StepState& report);

  Device device_;
  const nn::ParameterStore& store_;
  RunLog& log_;
  StepReports reports_;
  std::deque<StepMetrics> waiting_;
  StepState last_;
};

}  // namespace convoy::apps
