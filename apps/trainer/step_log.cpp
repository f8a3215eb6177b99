// SPDX-License-Identifier: MIT
#include "apps/trainer/step_log.h"

#include "nn/grad_scaler.h"

namespace convoy::apps {

StepLog::StepLog(const Device& device, const nn::ParameterStore& store, RunLog& log,
                 const StepState& before)
    : device_(device), store_(store), log_(log), reports_(device), last_(before) {}

void StepLog::add(const StepMetrics& metrics) {
  if (reports_.full()) write(reports_.wait());
  waiting_.push_back(metrics);
  reports_.push(current_stream(device_));
  while (const auto report = reports_.take()) write(*report);
}

void StepLog::finish() {
  while (!reports_.empty()) write(reports_.wait());
}

void StepLog::write(const StepState& report) {
  last_ = report;
  StepMetrics& m = waiting_.front();
  m.loss_scale = static_cast<double>(report.loss_scale);
  m.skipped_steps = report.skipped;
  log_.step(m);
  waiting_.pop_front();
  nn::require_progress(report, store_);
}

}  // namespace convoy::apps
