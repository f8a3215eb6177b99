// SPDX-License-Identifier: MIT
#include "apps/trainer/setup.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "apps/trainer/augmentation.h"
#include "data/catalog.h"
#include "kernels/require.h"
#include "kernels/sim/options.h"
#include "nn/models.h"
#include "runtime/autograd.h"
#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/ops.h"

namespace convoy::apps {

data::BadSamples bad_samples(const DataConfig& c) {
  if (c.on_bad_image == "skip") return data::BadSamples::skip;
  if (c.on_bad_image == "error") return data::BadSamples::error;
  fail_usage("--on-bad-image expects error or skip, found '{}'", c.on_bad_image);
}

void report_skipped(const data::Loader& loader) {
  if (loader.skipped().empty()) return;
  std::string first;
  int shown = 0;
  for (const auto& [index, why] : loader.skipped()) {
    if (shown++ == 3) break;
    first += "; " + why;
  }
  fmt::print(stderr, "convoy: note: {} images could not be read and were skipped{}{}\n",
             loader.skipped().size(), first, loader.skipped().size() > 3 ? "; …" : "");
}

void set_simulator(const SimulatorConfig& c) {
  using sim::Async;
  using sim::Schedule;
  const std::map<std::string, Schedule> schedules{{"ascending", Schedule::ascending},
                                                  {"descending", Schedule::descending},
                                                  {"seeded", Schedule::seeded}};
  const std::map<std::string, Async> modes{
      {"eager", Async::eager}, {"late", Async::late}, {"seeded", Async::seeded}};
  if (!schedules.contains(c.schedule)) {
    fail_usage("--sim-schedule expects ascending, descending or seeded, found '{}'", c.schedule);
  }
  if (!modes.contains(c.async)) {
    fail_usage("--sim-async expects eager, late or seeded, found '{}'", c.async);
  }
  sim::options() = {
      .schedule = schedules.at(c.schedule), .async = modes.at(c.async), .seed = c.seed};
}

TrainConfig with_flip_for(TrainConfig config, const data::Dataset& dataset) {
  if (config.hflip < 0) config.hflip = data::may_be_mirrored(dataset.class_names()) ? 0.5 : 0;
  return config;
}

data::LoaderOptions loading(const DataConfig& c, const InputFormat& input, const Device& device) {
  return {.row = input.extent,
          .bad_samples = bad_samples(c),
          .workers = c.workers,
          .depth = c.prefetch,
          .device = device,
          .deadline_s = c.loader_timeout,
          .on_stall = [](const std::string& what) {
            fmt::print(stderr, "convoy: note: loader: {}\n", what);
          }};
}

data::LoaderOptions train_loading(const TrainConfig& c, const InputFormat& input) {
  data::LoaderOptions options = loading(c.data, input, parse_device(c.device));
  options.batch_size = c.batch_size;
  options.training = true;
  options.augmentation = augmentation_of(c, input);
  options.seed = c.seed;
  options.shuffle_window = c.data.shuffle_window;
  options.pixels = !c.resident;
  return options;
}

data::LoaderOptions val_loading(const TrainConfig& c, const InputFormat& input) {
  data::LoaderOptions options = loading(c.data, input, parse_device(c.device));
  options.batch_size = c.val_batch_size;
  return options;
}

MixConfig mix_of(const TrainConfig& c) {
  const MixConfig mix{.options = {.mixup = c.mixup,
                                  .cutmix = c.cutmix,
                                  .probability = c.mixup_prob,
                                  .switch_probability = c.mixup_switch_prob},
                      .seed = c.seed};
  data::check(mix.options);
  return mix;
}

std::unique_ptr<nn::Module> make_model(const TrainConfig& c, int num_classes,
                                       const InputFormat& input) {
  auto model = nn::create_model(c.model, {.num_classes = num_classes,
                                          .in_channels = static_cast<int>(input.extent.channels),
                                          .drop = c.drop,
                                          .drop_path = c.drop_path});
  nn::initialize(*model, c.seed);
  if (!c.initial_checkpoint.empty()) load_model(c.initial_checkpoint, *model);
  return model;
}

void require_fit(nn::Module& model, const std::string& name, const data::ImageExtent& e,
                 const Device& device) {
  const NoGrad inference;
  model.eval();
  const DType dtype = model.parameters().front().tensor.dtype();
  try {
    model.forward(zeros({1, e.height, e.width, e.channels}, {dtype, device}));
  } catch (const Error& error) {
    fail_usage("--img-size: {} cannot take images of {}: {}", name, e, error.what());
  }
}

nn::OptimizerOptions optimizer_options(const TrainConfig& c) {
  return {.kind = nn::parse_optimizer_kind(c.opt),
          .momentum = c.momentum,
          .nesterov =
              c.nesterov && c.momentum > 0,  // without momentum there is nothing to look ahead of
          .weight_decay = c.weight_decay,
          .betas = {c.opt_betas[0], c.opt_betas[1]},
          .eps = c.opt_eps};
}

nn::EmaOptions ema_options(const TrainConfig& c) {
  return {.decay = c.model_ema_decay, .warmup = c.model_ema_warmup};
}

nn::GradScalerOptions scaler_options(const TrainConfig& c) {
  const bool dynamic = c.loss_scale == 0 && c.precision.amp_dtype == "float16";
  const double fixed = c.loss_scale == 0 ? 1 : c.loss_scale;
  return {.initial_scale = dynamic ? kInitialLossScale : fixed,
          .dynamic = dynamic,
          .window = c.loss_scale_window,
          .least = dynamic ? c.min_loss_scale : fixed};
}

bool use_graph(const TrainConfig& c, const Ranks& ranks) {
  const bool possible = has_graphs(ranks.device()), alone = ranks.world_size() == 1;
  if (c.cuda_graph.value_or(false) && !possible) {
    fail_usage("--cuda-graph: {} has no graphs here; leave it out", ranks.device());
  }
  if (c.cuda_graph.value_or(false) && !alone) {
    fail_usage("--cuda-graph expects one rank, found {}; leave it out", ranks.world_size());
  }
  return c.cuda_graph.value_or(possible) && alone;
}

nn::LrSchedule make_schedule(const TrainConfig& c, std::int64_t steps_per_epoch) {
  double epochs = c.epochs;
  if (c.max_steps > 0) {
    epochs =
        std::min(epochs, static_cast<double>(c.max_steps) / static_cast<double>(steps_per_epoch));
  }
  return {.kind = nn::parse_lr_kind(c.sched),
          .learning_rate = c.lr,
          .epochs = epochs,
          .warmup_epochs = std::min(c.warmup_epochs, epochs / 10),
          .warmup_lr = c.warmup_lr,
          .min_lr = c.min_lr,
          .decay_rate = c.decay_rate,
          .decay_epochs = c.decay_epochs,
          .milestones = c.decay_milestones,
          .power = c.decay_rate};
}

CheckpointState start_state(const TrainConfig& c, const DataSource& data) {
  CheckpointState s;
  s.model = c.model;
  s.dataset = c.data.dataset;
  s.class_names = data.dataset->class_names();
  s.input = data.input;
  s.drop = c.drop;
  s.drop_path = c.drop_path;
  s.optimizer = c.opt;
  s.seed = c.seed;
  s.batch_size = c.batch_size;
  s.grad_accum_steps = c.grad_accum_steps;
  s.threads = compute_threads();
  s.amp = c.precision.amp ? c.precision.amp_dtype : "off";
  s.kernels = c.kernel.kernels;
  s.tuning = tuning_hash(tuning_table());
  return s;
}

void require_same_run(const CheckpointState& saved, const CheckpointState& now) {
  std::string differences;
  const auto compare = [&](const char* what, const auto& before, const auto& after) {
    if (before != after) differences += fmt::format("; {} was {}, is {}", what, before, after);
  };
  compare("--model", saved.model, now.model);
  compare("--dataset", saved.dataset, now.dataset);
  compare("--opt", saved.optimizer, now.optimizer);
  compare("number of classes", saved.class_names.size(), now.class_names.size());
  if (saved.class_names.size() == now.class_names.size() && saved.class_names != now.class_names) {
    differences += "; the classes have other names";
  }
  compare("--img-size", data::to_text(saved.input.extent), data::to_text(now.input.extent));
  compare("--mean", fmt::format("{}", fmt::join(saved.input.mean, ",")),
          fmt::format("{}", fmt::join(now.input.mean, ",")));
  compare("--std", fmt::format("{}", fmt::join(saved.input.std, ",")),
          fmt::format("{}", fmt::join(now.input.std, ",")));
  compare("--amp", saved.amp, now.amp);
  compare("--seed", saved.seed, now.seed);
  compare("--batch-size", saved.batch_size, now.batch_size);
  compare("--grad-accum-steps", saved.grad_accum_steps, now.grad_accum_steps);
  if (!differences.empty()) {
    fail_usage("--resume: the checkpoint is of another run: {}", differences.substr(2));
  }
  if (saved.threads != now.threads) {
    fmt::print(stderr,
               "convoy: note: resumed with {} compute threads instead of {}: bits may differ\n",
               now.threads, saved.threads);
  }
  if (saved.kernels != now.kernels || saved.tuning != now.tuning) {
    fmt::print(stderr,
               "convoy: note: resumed with --kernels {} and tuning table {} instead of {} and {}: "
               "bits may differ\n",
               now.kernels, now.tuning, saved.kernels, saved.tuning);
  }
}

}  // namespace convoy::apps
