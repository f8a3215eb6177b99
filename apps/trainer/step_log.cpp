// SPDX-License-Identifier: MIT
#include "apps/trainer/step_log.h"

#include <cmath>

#include "nn/grad_scaler.h"

namespace convoy::apps {
namespace {

void require_finite(const StepMetrics& m) {
  if (std::isfinite(m.loss)) return;
  throw Error(
      fmt::format("step {}: the loss expects a finite number, found {}; try a lower --lr (now "
                  "{:.4g}) or --clip-grad 1",
                  m.step, m.loss, m.learning_rate),
      ErrorKind::diverged);
}

}  // namespace

StepLog::StepLog(const Device& device, const nn::ParameterStore& store, RunLog* log,
                 const StepState& before, bool mixed_precision)
    : device_(device),
      store_(store),
      log_(log),
      reports_(device),
      last_(before),
      mixed_precision_(mixed_precision) {}

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
  const auto images = static_cast<double>(m.images),
             correct = static_cast<double>(report.correct[0]);
  m.loss = static_cast<double>(report.loss) / m.batches;
  m.top1 = 100 * correct / images;
  m.loss_scale = static_cast<double>(report.loss_scale);
  m.skipped_steps = report.skipped;
  if (!mixed_precision_) require_finite(m);
  if (std::isfinite(m.loss)) {
    sums_.loss += m.loss * images;
    sums_.correct += correct;
    sums_.images += m.images;
  }
  if (log_ != nullptr) log_->step(m);
  waiting_.pop_front();
  nn::require_progress(report, store_);
}

}  // namespace convoy::apps
