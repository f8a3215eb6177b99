// SPDX-License-Identifier: MIT
// What a run over many ranks will need, before any of them starts.
#include "dist/plan.h"

#include <CLI/CLI.hpp>
#include <cmath>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/trainer/setup.h"
#include "nn/init.h"
#include "nn/optimizer.h"

namespace convoy::apps {
namespace {

constexpr int kMostRanks = 65536;  // a plan looks at the parts of each

struct PlanConfig {
  std::string model = "resnet50", opt = "sgd", amp_dtype = "float16";
  int num_classes = 0, in_chans = 0, img_size = 0, batch_size = 64, world_size = 1;
  int zero_stage = -1;
  bool amp = false, model_ema = false;
  double momentum = 0.9, bucket_cap_mb = 25, bandwidth = 10, latency = 10;
};

void describe(PlanConfig& c, FlagAdder& flags) {
  flags.group("Model");
  flags("model", c.model, "see convoy models");
  flags("num-classes", c.num_classes, "outputs of the classifier; 0: the model's own");
  flags("in-chans", c.in_chans, "channels of the image; 0: the model's own");
  flags("img-size", c.img_size, "side of the image; 0: the model's own");
  flags.group("Training");
  flags("batch-size,-b", c.batch_size, "images per step of each rank");
  flags("opt", c.opt, "sgd, adam, adamw, rmsprop or lars");
  flags("momentum", c.momentum, "of sgd, rmsprop and lars; 0: none is kept");
  flags("amp", c.amp, "half weights and activations, masters in f32");
  flags("amp-dtype", c.amp_dtype, "of --amp: float16 or bfloat16");
  flags("model-ema", c.model_ema, "keep averages of the weights, in f32");
  flags.group("Ranks");
  flags("world-size", c.world_size, "ranks");
  flags("zero-stage", c.zero_stage, "0 or 1: that alone; left out: both");
  flags("bucket-cap-mb", c.bucket_cap_mb, "size of the pieces in which gradients are summed");
  flags("bandwidth", c.bandwidth, "GB/s of a link between ranks, in one direction");
  flags("latency", c.latency, "us of one message");
}

std::optional<DType> half_of(const PlanConfig& c) {
  if (c.amp_dtype != "float16" && c.amp_dtype != "bfloat16") {
    fail_usage("--amp-dtype expects float16 or bfloat16, found '{}'", c.amp_dtype);
  }
  if (!c.amp) return {};
  return c.amp_dtype == "float16" ? DType::f16 : DType::bf16;
}

void check(const PlanConfig& c) {
  const auto at_least = [](const char* flag, double value, double least) {
    if (!(value >= least && std::isfinite(value)))
      fail_usage("--{} expects {} or more, found {}", flag, least, value);
  };
  at_least("batch-size", c.batch_size, 1);
  if (c.world_size < 1 || c.world_size > kMostRanks) {
    fail_usage("--world-size expects a number from 1 to {}, found {}", kMostRanks, c.world_size);
  }
  at_least("img-size", c.img_size, 0);
  at_least("in-chans", c.in_chans, 0);
  at_least("momentum", c.momentum, 0);
  at_least("latency", c.latency, 0);
  if (!(c.bandwidth > 0 && std::isfinite(c.bandwidth)))
    fail_usage("--bandwidth expects GB/s above 0, found {}", c.bandwidth);
  if (c.zero_stage < -1 || c.zero_stage > 1) {
    fail_usage("--zero-stage expects 0 or 1, found {}", c.zero_stage);
  }
}

// Throws a usage error for images that the model cannot take.
void try_images(const PlanConfig& c, const nn::ModelOptions& options) {
  const nn::ModelInfo& info = nn::model_info(c.model);
  const int size = c.img_size > 0 ? c.img_size : info.image_size;
  const int channels = c.in_chans > 0 ? c.in_chans : info.in_channels;
  const auto model = nn::create_model(c.model, options);
  nn::initialize(*model, 0);
  require_fit(*model, c.model, {size, size, channels}, Device{});
}

void print_plan(const PlanConfig& c, const dist::Plan& plan) {
  fmt::print("{}: {} parameters in {} buckets; {} rank{}, each {} images of {}x{}x{}; {}, {}\n\n",
             c.model, plan.parameter_count, plan.buckets, c.world_size,
             c.world_size == 1 ? "" : "s", c.batch_size, plan.image_size, plan.image_size,
             plan.channels, c.opt, c.amp ? c.amp_dtype : "float32");
  const auto row = [&](const char* what, const auto& text_of) {
    fmt::print("{:<26}", what);
    for (int stage = 0; stage < 2; ++stage) {
      if (c.zero_stage >= 0 && c.zero_stage != stage) continue;
      fmt::print(" {:>16}", text_of(stage));
    }
    fmt::print("\n");
  };
  const auto mega = [&](const char* what, auto bytes_of) {
    row(what, [&](int stage) {
      const auto bytes = bytes_of(plan.stages[static_cast<std::size_t>(stage)]);
      return fmt::format("{:.2f}", static_cast<double>(bytes) * 1e-6);
    });
  };
  row("MB per rank", [](int stage) { return fmt::format("zero-stage {}", stage); });
  mega("  parameters", [](const dist::StagePlan& s) { return s.parameters; });
  mega("  gradients", [](const dist::StagePlan& s) { return s.gradients; });
  mega("  optimizer_bytes", [](const dist::StagePlan& s) { return s.optimizer; });
  if (c.model_ema) mega("  averages", [](const dist::StagePlan& s) { return s.averages; });
  mega("  activations, about", [](const dist::StagePlan& s) { return s.activations; });
  mega("  together", [](const dist::StagePlan& s) { return s.total(); });
  mega("MB sent per step", [](const dist::StagePlan& s) { return s.sent; });
  row("ms of communication", [&](int stage) {
    return fmt::format("{:.3f}", plan.stages[static_cast<std::size_t>(stage)].seconds * 1e3);
  });
}

}  // namespace

int run_plan(const Arguments& arguments) {
  PlanConfig c;
  CLI::App app("Memory and communication of a run over many ranks, before it starts.",
               "convoy plan");
  FlagAdder flags(app);
  describe(c, flags);
  if (!parse(app, arguments)) return 0;
  check(c);
  const dist::PlanOptions options{
      .model = c.model,
      .model_options = {.num_classes = c.num_classes, .in_channels = c.in_chans},
      .image_size = c.img_size,
      .world_size = c.world_size,
      .batch_size = c.batch_size,
      .half = half_of(c),
      .optimizer = {.kind = nn::parse_optimizer_kind(c.opt), .momentum = c.momentum},
      .model_ema = c.model_ema,
      .buckets = {.cap_mb = c.bucket_cap_mb, .first_cap_mb = std::min(1.0, c.bucket_cap_mb)},
      .bytes_per_second = c.bandwidth * 1e9,
      .latency = c.latency * 1e-6};
  try_images(c, options.model_options);
  print_plan(c, dist::make_plan(options));
  return 0;
}

}  // namespace convoy::apps
