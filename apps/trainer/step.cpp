// SPDX-License-Identifier: MIT
#include "apps/trainer/step.h"

#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "runtime/ops.h"
#include "runtime/profiler.h"
#include "runtime/run.h"
#include "runtime/step_state.h"

namespace convoy::apps {
namespace {

// Adds what came of a batch to the step's figures.
void add_figures(const Tensor& logits, const Tensor& loss, const Tensor& target) {
  StepState* state = step_state(loss.device()).device_pointer();
  const Strides dense = contiguous_strides({1});
  run(Copy{.shape = {1},
           .x_strides = dense,
           .y_strides = dense,
           .x = loss.data(),
           .y = &state->loss,
           .dtype = DType::f32,
           .accumulate = true},
      loss.stream());
  run(TopKCount{.rows = logits.size(0),
                .classes = logits.size(1),
                .logits = logits.contiguous().data(),
                .target = target.data(),
                .target_dtype = target.dtype(),
                .ignore_index = data::kNoLabel,
                .correct = state->correct,
                .accumulate = true,
                .dtype = logits.dtype()},
      logits.stream());
}

}  // namespace

TrainStep::TrainStep(nn::Module& model, nn::ParameterStore& store, nn::Optimizer& optimizer,
                     const nn::GradScaler* scaler, const InputPipeline& input,
                     const StepOptions& options)
    : model_(model),
      store_(store),
      optimizer_(optimizer),
      scaler_(scaler),
      input_(input),
      options_(options),
      copies_(input.device()) {}

void TrainStep::begin(double learning_rate, int batches) {
  require(batches >= 1, "train step: expects 1 batch or more, found {}", batches);
  batches_ = batches;
  loaded_ = 0;
  const int ranks = options_.ranks != nullptr ? options_.ranks->world_size() : 1;
  if (options_.ema != nullptr) options_.ema->begin_step();
  optimizer_.begin_step(learning_rate, 1.0 / (batches * ranks));
}

TrainStep::Form& TrainStep::form_of(const data::Batch& batch) {
  const auto [height, width, channels] = batch.extent;
  const Shape shape{batches_, batch.rows, height, width, channels};
  const auto is = [&](const std::unique_ptr<Form>& form) { return form && form->shape == shape; };
  if (is(kept_)) {
    passing_.reset();
    return *kept_;
  }
  const bool may_pass = options_.graph && kept_ && !is(passing_);
  if (!is(passing_)) {
    passing_ = std::make_unique<Form>(shape);
    for (int i = 0; i < batches_; ++i) {
      passing_->slots.emplace_back(input_.device(), copies_.get(), batch.rows, batch.extent,
                                   options_.resident);
      if (options_.mix.options.any()) {
        passing_->mixes.emplace_back(input_.device(), batch.rows, batch.extent);
      }
    }
  }
  if (may_pass) return *passing_;
  kept_ = std::move(passing_);
  if (options_.graph) kept_->graph = std::make_unique<Graph>(input_.device());
  return *kept_;
}

void TrainStep::load(const data::Batch& batch) {
  if (loaded_ == 0) form_ = &form_of(batch);
  require(loaded_ < batches_, "train step: expects {} batches, found another", batches_);
  const auto at = static_cast<std::size_t>(loaded_);
  form_->slots[at].load(batch);
  if (!form_->mixes.empty()) form_->mixes[at].load(batch, form_->slots[at], options_.mix);
  ++loaded_;
}

void TrainStep::run() {
  require(loaded_ == batches_, "train step: expects {} batches, found {}", batches_, loaded_);
  for (InputSlot& slot : form_->slots) slot.enter();
  for (MixSlot& mix : form_->mixes) mix.enter();
  run(*form_);
  for (InputSlot& slot : form_->slots) slot.leave();
}

void TrainStep::run(Form& form) {
  // A replay has no spans to show.
  if (!form.graph || Profiler::enabled()) return enqueue(form);
  if (!form.ran) {
    form.graph->run([&] { enqueue(form); });
    form.ran = true;
    return;
  }
  if (form.captured) {
    optimizer_.count_step();
  } else {
    form.graph->capture([&] { enqueue(form); });
    form.captured = true;
  }
  form.graph->replay();
}

void TrainStep::enqueue(const Form& form) {
  Ranks* const ranks = options_.ranks;
  for (std::size_t i = 0; i < form.slots.size(); ++i) {
    const auto pass = [&] {
      enqueue_batch(form.slots[i], form.mixes.empty() ? nullptr : &form.mixes[i]);
    };
    ranks != nullptr ? ranks->backward(pass, i + 1 == form.slots.size()) : pass();
  }
  if (ranks != nullptr) {
    ranks->finish_gradients();
    ranks->sum_figures();
  }
  if (options_.clip_grad > 0) nn::clip_grad_norm(store_, options_.clip_grad);
  scaler_ != nullptr ? scaler_->step(optimizer_) : optimizer_.step();
  if (options_.ema != nullptr) options_.ema->step();
  if (ranks != nullptr) ranks->gather_parameters();
}

void TrainStep::enqueue_batch(const InputSlot& slot, const MixSlot* mix) {
  const CrossEntropyOptions options{.label_smoothing = options_.label_smoothing};
  DeviceBatch b = input_(slot);
  if (mix != nullptr) b.x = mix->mixed(b.x, slot, input_);
  if (options_.ranks != nullptr) options_.ranks->enter("forward");
  const Tensor logits = model_(b.x);
  Tensor loss = cross_entropy(logits, b.target, options);
  if (mix != nullptr) loss = mix->mixed_loss(loss, logits, options);
  add_figures(logits, loss, b.target);
  if (options_.ranks != nullptr) options_.ranks->enter("backward");
  scaler_ != nullptr ? scaler_->backward(loss) : loss.backward();
}

}  // namespace convoy::apps
