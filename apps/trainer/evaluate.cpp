// SPDX-License-Identifier: MIT
#include "apps/trainer/evaluate.h"

#include <optional>

#include "apps/trainer/progress.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "runtime/stream.h"

namespace convoy::apps {
namespace {

Tensor as_f32(const Tensor& logits) {
  return logits.dtype() == DType::f32 ? logits : cast(logits, DType::f32);
}

// What the device computes of a batch, to be read once the next one is under way.
struct Figures {
  Tensor correct, loss, logits;
  std::vector<std::int32_t> labels;
  std::int64_t valid;

  Figures(const Tensor& of, const Tensor& target, const data::Batch& batch)
      : correct(top_k_correct(of, target)),
        loss(cross_entropy(of, target, {.reduction = Reduction::sum})),
        logits(of),
        labels(batch.labels.begin(), batch.labels.end()),
        valid(batch.valid) {}

  void add_to(EvalResult& sum) const {
    const auto hits = to_vector<std::int64_t>(correct);
    sum.count += valid;
    sum.correct += hits[0];
    sum.correct5 += hits[1];
    sum.loss_sum += loss.item();
  }

  // Of the rows that hold a sample: a skipped one leaves a hole in the middle of a batch.
  void append_logits(std::vector<float>& all) const {
    const std::vector<float> values = to_vector<float>(as_f32(logits));
    const std::int64_t classes = logits.size(1);
    for (std::size_t r = 0; r < labels.size(); ++r) {
      if (labels[r] == data::kNoLabel) continue;
      const auto row = values.begin() + static_cast<std::int64_t>(r) * classes;
      all.insert(all.end(), row, row + classes);
    }
  }
};

// The model on one batch after the other: a batch is copied while the one before is computed.
class Pass {
 public:
  Pass(nn::Module& model, const InputPipeline& input)
      : model_(model), input_(input), copies_(input.device()) {}

  Figures enqueue(const data::Batch& batch) {
    if (!slot_) slot_.emplace(input_.device(), copies_.get(), batch.rows, batch.extent);
    slot_->load(batch);
    slot_->enter();
    const DeviceBatch on_device = input_(*slot_);
    const Figures figures(model_.forward(on_device.x), on_device.target, batch);
    slot_->leave();
    return figures;
  }

 private:
  nn::Module& model_;
  const InputPipeline& input_;
  OwnedStream copies_;
  std::optional<InputSlot> slot_;
};

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
  const auto read = [&](const Figures& of) {
    of.add_to(result);
    if (options.logits) of.append_logits(*options.logits);
  };
  Pass pass(model, input);
  std::optional<Figures> before;
  for (std::int64_t i = 0; i < batches; ++i) {
    result.interrupted = options.is_over != nullptr && options.is_over();
    if (result.interrupted) break;
    Figures now = pass.enqueue(*loader.next());
    if (before) {
      read(*before);
      if (progress) progress->update(i, figures(result));
    }
    before = std::move(now);
  }
  if (before) read(*before);
  if (progress && !result.interrupted) progress->finish(figures(result));
  return result;
}

std::string to_json(const EvalResult& r) {
  return fmt::format(
      "{{\"count\":{},\"correct\":{},\"top1\":{:.6g},\"top5\":{:.6g},\"loss\":{:.6g}}}", r.count,
      r.correct, r.top1(), r.top5(), r.loss());
}

}  // namespace convoy::apps
