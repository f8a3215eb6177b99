// SPDX-License-Identifier: MIT
#include "apps/trainer/evaluate.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/trainer/inference.h"
#include "apps/trainer/setup.h"
#include "kernels/require.h"
#include "nn/safetensors.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

// The whole rows, in data set order, as `logits` [count, classes].
void save_logits(const std::string& path, const std::vector<float>& logits, std::int64_t count) {
  const auto rows = static_cast<std::uint64_t>(count);
  nn::write_safetensors(path, {{"logits",
                                nn::StoredType::F32,
                                {rows, rows ? logits.size() / rows : 0},
                                std::as_bytes(std::span(logits))}});
}

struct EvalConfig {
  InferenceConfig inference;
  std::string split = "val";
  int batch_size = 256;
  std::int64_t limit_train_batches = 0, limit_val_batches = 0;
  bool json = false;
  std::string save_logits;
};

void describe(EvalConfig& c, FlagAdder& flags) {
  describe(c.inference, flags);
  describe_data(c.inference.data, flags);
  flags("split", c.split, "val: the held-out images; train: the training images, not augmented");
  flags("batch-size,-b", c.batch_size, "images at a time");
  flags("limit-train-batches", c.limit_train_batches, "batches of --split train; 0: all");
  flags("limit-val-batches", c.limit_val_batches, "batches of --split val; 0: all");
  flags.group("Output");
  flags("json", c.json,
        "one line of JSON at the end of standard output; progress goes to standard error");
  flags("save-logits", c.save_logits, "write the logits [count, classes] to this safetensors file");
}

void check(const EvalConfig& c) {
  if (c.split != "train" && c.split != "val") {
    fail_usage("--split expects val or train, found '{}'", c.split);
  }
  if (c.batch_size < 1) fail_usage("--batch-size expects 1 or more, found {}", c.batch_size);
  if (std::min(c.limit_train_batches, c.limit_val_batches) < 0) {
    fail_usage("--limit-train-batches and --limit-val-batches expect 0 or more, found {} and {}",
               c.limit_train_batches, c.limit_val_batches);
  }
  if (!c.save_logits.empty()) require_writable("save-logits", c.save_logits);
}

}  // namespace

int run_eval(const Arguments& arguments) {
  EvalConfig config;
  CLI::App app("Measure a model on a data set's held-out images.", "convoy eval");
  FlagAdder flags(app);
  describe(config, flags);
  if (!parse(app, arguments)) return 0;
  check(config);

  const CheckpointDefaults from = with_checkpoint_defaults(config.inference, given_flags(app));
  const bool train = config.split == "train";
  const DataSource source =
      open_data(from.config.data, train ? Split::train : Split::val, from.class_names);
  const auto model =
      load_for_inference(from.config, source.dataset->num_classes(), source.input.extent);
  data::LoaderOptions options =
      loading(from.config.data, source.input, parse_device(from.config.device));
  options.batch_size = config.batch_size;
  data::Loader loader(source.dataset, options);
  const InputPipeline input = input_for(from.config, source.input);
  std::vector<float> logits;
  const EvalResult result =
      evaluate(*model, loader, input,
               {.limit_batches = train ? config.limit_train_batches : config.limit_val_batches,
                .progress = config.json ? stderr : stdout,
                .logits = config.save_logits.empty() ? nullptr : &logits});
  report_skipped(loader);
  if (!config.save_logits.empty()) save_logits(config.save_logits, logits, result.count);
  if (config.json) fmt::print("{}\n", to_json(result));
  return 0;
}

}  // namespace convoy::apps
