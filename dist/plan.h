// SPDX-License-Identifier: MIT
#pragma once
// What a training run over many ranks will need, said before any rank starts: memory of each rank,
// with and without ZeRO, and the time of a step's communication over links of a given speed.
//
//   const Plan plan = make_plan({.model = "resnet50", .world_size = 8, .batch_size = 64});
//   plan.stages[1].optimizer                              // bytes, of rank 0, which has the most
//
// Parameters, gradients and optimizer are counted on the real buffers. What forward and backward
// take on top is measured on cpu in f32, a large batch by smaller ones; with half weights it counts
// as half of that. A GPU's own ops keep less: see runtime/ops/conv2d_norm_act.h.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "dist/buckets.h"
#include "nn/models.h"
#include "nn/optimizer.h"

namespace convoy::dist {

struct PlanOptions {
  std::string model;
  nn::ModelOptions model_options = {};
  int image_size = 0;  // side; 0: the model's own
  int world_size = 1;
  int batch_size = 64;  // of each rank
  std::optional<DType> half = {};
  nn::OptimizerOptions optimizer = {};
  bool model_ema = false;  // averages are kept (nn/ema.h)
  BucketOptions buckets = {};
  double bytes_per_second = 10e9;  // of a link, in one direction
  double latency = 10e-6;          // seconds, of one message
  double dry_run_bytes = 256e6;    // of the passes that are tried, whatever the batch
};

// Bytes, of the rank that has the most.
struct StagePlan {
  std::int64_t parameters = 0;   // as the model computes with them
  std::int64_t gradients = 0;    // f32
  std::int64_t optimizer = 0;    // state, and masters of half parameters: optimizer_bytes
  std::int64_t averages = 0;     // of weights and running statistics
  std::int64_t activations = 0;  // at most, in forward and backward
  std::int64_t sent = 0;         // by each rank in a step
  double seconds = 0;            // of a step's communication, were nothing hidden behind backward
  std::int64_t total() const { return parameters + gradients + optimizer + averages + activations; }
};

struct Plan {
  std::int64_t parameter_count = 0;
  std::int64_t buckets = 0;
  int image_size = 0, channels = 0;
  std::array<StagePlan, 2> stages;  // ZeRO stage 0, which is plain data parallel, and 1
};

// Throws usage errors for what create_model, make_buckets and Optimizer refuse.
Plan make_plan(const PlanOptions& options);

// A reduce-scatter and an all-gather in a ring, of so many bytes each over all buckets:
// (W - 1) / W * (reduced + gathered) / bytes_per_second + 2 (W - 1) * latency * buckets.
double ring_seconds(const PlanOptions& options, std::int64_t reduced, std::int64_t gathered,
                    std::int64_t buckets);

}  // namespace convoy::dist
