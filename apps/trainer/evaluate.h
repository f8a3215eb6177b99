// SPDX-License-Identifier: MIT
#pragma once
// Accuracy and loss over a data set, each sample counted exactly once.
//
//   const EvalResult r = evaluate(model, loader, input, {.limit_batches = 10});

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "apps/trainer/input.h"
#include "data/loader.h"
#include "nn/module.h"

namespace convoy::apps {

struct EvalResult {
  std::int64_t count = 0, correct = 0, correct5 = 0;
  double loss_sum = 0;
  bool interrupted = false;  // not all samples were counted
  double top1() const {
    return count ? 100.0 * static_cast<double>(correct) / static_cast<double>(count) : 0;
  }
  double top5() const {
    return count ? 100.0 * static_cast<double>(correct5) / static_cast<double>(count) : 0;
  }
  double loss() const { return count ? loss_sum / static_cast<double>(count) : 0; }
};

struct EvalOptions {
  std::int64_t limit_batches = 0;  // 0: all
  int log_interval = 50;
  std::FILE* progress = nullptr;         // where the live line goes; null: nowhere
  std::vector<float>* logits = nullptr;  // if set, receives [count, classes] in data set order
  std::string title = "eval";
  bool (*is_over)() = nullptr;  // asked before each batch: true ends the evaluation
};

// The model is in evaluation mode afterwards.
EvalResult evaluate(nn::Module& model, data::Loader& loader, const InputPipeline& input,
                    const EvalOptions& options);

// {"count":…,"correct":…,"top1":…,"top5":…,"loss":…}, in percent.
std::string to_json(const EvalResult& result);

}  // namespace convoy::apps
