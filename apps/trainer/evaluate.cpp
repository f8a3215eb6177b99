// SPDX-License-Identifier: MIT
#include "apps/trainer/evaluate.h"

#include <optional>
#include "apps/trainer/progress.h"

#include "runtime/autograd.h"
#include "runtime/ops.h"

namespace convoy::apps {
namespace {

void add_batch(EvalResult& sum, const Tensor& logits, const DeviceBatch& batch) {
  const auto correct = to_vector<std::int64_t>(top_k_correct(logits, batch.target));
  sum.count += batch.valid;
  sum.correct += correct[0];
  sum.correct5 += correct[1];
  sum.loss_sum += cross_entropy(logits, batch.target, {.reduction = Reduction::sum}).item();
}

Tensor as_f32(const Tensor& logits) {
  return logits.dtype() == DType::f32 ? logits : cast(logits, DType::f32);
}

// Of the rows that hold a sample: a skipped one leaves a hole in the middle of a batch.
void append_logits(std::vector<float>& all, const Tensor& logits, const data::Batch& batch) {
  const std::vector<float> values = to_vector<float>(as_f32(logits));
  const std::int64_t classes = logits.size(1);
  for (std::int64_t r = 0; r < batch.rows; ++r) {
    if (batch.labels[static_cast<std::size_t>(r)] == data::kNoLabel) continue;
    all.insert(all.end(), values.begin() + r * classes, values.begin() + (r + 1) * classes);
  }
}

std::string figures(const EvalResult& r) {
  return fmt::format("loss {:.4f} top1 {:5.2f} top5 {:5.2f}", r.loss(), r.top1(), r.top5());
}

}  // namespace

EvalResult evaluate(nn::Module& model, data::Loader& loader, const InputPipeline& input,
                    const EvalOptions& options) {
  const NoGrad inference;
  model.eval();
  loader.start(0);
  std::int64_t batches = loader.batches_per_epoch();
  if (options.limit_batches > 0) batches = std::min(batches, options.limit_batches);
  std::optional<Progress> progress;
  if (options.progress)
    progress.emplace(options.title, batches, options.log_interval, options.progress);
  EvalResult result;
  for (std::int64_t i = 0; i < batches; ++i) {
    const data::Batch& rows = *loader.next();
    const DeviceBatch batch = input(rows);
    const Tensor logits = model.forward(batch.x);
    add_batch(result, logits, batch);
    if (options.logits) append_logits(*options.logits, logits, rows);
    if (progress && i + 1 < batches) progress->update(i + 1, figures(result));
  }
  if (progress) progress->finish(figures(result));
  return result;
}

std::string to_json(const EvalResult& r) {
  return fmt::format(
      "{{\"count\":{},\"correct\":{},\"top1\":{:.6g},\"top5\":{:.6g},\"loss\":{:.6g}}}", r.count,
      r.correct, r.top1(), r.top5(), r.loss());
}

}  // namespace convoy::apps
