// SPDX-License-Identifier: MIT
#pragma once
// One training step as the device sees it: pictures to the network's input, forward, loss,
// backward, clipping, the optimizer, and StepState moved on. Nothing of it waits for the device:
// loss and counts are in the step's report (apps/trainer/step_log.h).
//
//   TrainStep step(model, store, optimizer, scaler, input, {.graph = has_graphs(device)});
//   step.begin(learning_rate, 1);
//   step.load(batch);
//   step.run();
//
// With `graph` the whole step is captured once and replayed, all batches of a gradient accumulation
// in one graph. Only the batches' copies into their fixed slots, and the upload of StepState, go in
// front of it. A shape's first step runs eagerly, its second is captured. Another shape that comes
// once, as at an epoch's end, runs eagerly beside the graph; when it comes twice in a row it gets
// the graph, and the old one goes with its memory. The bits are those of eager steps.

#include <memory>
#include <vector>

#include "apps/trainer/input.h"
#include "apps/trainer/mix.h"
#include "apps/trainer/ranks.h"
#include "nn/ema.h"
#include "nn/grad_scaler.h"
#include "runtime/graph.h"

namespace convoy::apps {

struct StepOptions {
  double label_smoothing = 0;
  double clip_grad = 0;  // largest gradient norm; 0: no clipping
  bool graph = false;
  MixConfig mix = {};
  Tensor resident = {};    // all pictures of the data set, when they stay on the device
  Ranks* ranks = nullptr;  // that share the steps, if any
  nn::Ema* ema = nullptr;  // averages that follow the weights, if any
};

class TrainStep {
 public:
  // All must outlive this; `scaler` may be null.
  TrainStep(nn::Module& model, nn::ParameterStore& store, nn::Optimizer& optimizer,
            const nn::GradScaler* scaler, const InputPipeline& input, const StepOptions& options);

  // Opens a step that sums the gradients of so many batches of one shape.
  void begin(double learning_rate, int batches);
  // Enqueues the next batch's copy, on a stream beside the steps'.
  void load(const data::Batch& batch);
  // Enqueues the step. Throws Error when batches are missing.
  void run();

 private:
  // What a shape needs: a place for its batches and, once it is worth it, a graph.
  struct Form {
    explicit Form(const Shape& s) : shape(s) {}
    Shape shape;  // [batches, rows, height, width, channels]
    std::vector<InputSlot> slots;
    std::vector<MixSlot> mixes;  // one per slot, or none
    std::unique_ptr<Graph> graph;
    bool ran = false, captured = false;
  };

  Form& form_of(const data::Batch& batch);
  void run(Form& form);
  void enqueue(const Form& form);
  void enqueue_batch(const InputSlot& slot, const MixSlot* mix);

  nn::Module& model_;
  nn::ParameterStore& store_;
  nn::Optimizer& optimizer_;
  const nn::GradScaler* scaler_;
  const InputPipeline& input_;
  StepOptions options_;
  OwnedStream copies_;
  std::unique_ptr<Form> kept_, passing_;
  Form* form_ = nullptr;  // of the step that is open
  int batches_ = 0, loaded_ = 0;
};

}  // namespace convoy::apps
