// SPDX-License-Identifier: MIT
#include "apps/trainer/evaluate.h"

#include <CLI/CLI.hpp>

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

std::vector<std::string> given_flags(const CLI::App& app) {
  std::vector<std::string> given;
  for (const CLI::Option* option : app.get_options()) {
    if (option->count() > 0 && !option->get_lnames().empty())
      given.push_back(option->get_lnames()[0]);
  }
  return given;
}

}  // namespace

int run_eval(const Arguments& arguments) {
  InferenceConfig config;
  std::int64_t limit = 0;
  bool json = false;
  std::string logits_file;
  CLI::App app("Measure a model on a data set's held-out images.", "convoy eval");
  FlagAdder flags(app);
  describe(config, flags);
  describe_data(config.data, flags);
  flags.group("Output");
  flags("limit-val-batches", limit, "batches to evaluate; 0: all");
  flags("json", json,
        "one line of JSON at the end of standard output; progress goes to standard error");
  flags("save-logits", logits_file, "write the logits [count, classes] to this safetensors file");
  if (!parse(app, arguments)) return 0;

  const CheckpointDefaults defaults = with_checkpoint_defaults(config, given_flags(app));
  config = defaults.config;
  const DataSource source = open_data(config.data, Split::val, defaults.class_names);
  const auto model =
      load_for_inference(config, source.dataset->num_classes(), source.input.extent.channels);
  data::Loader loader(source.dataset, {.batch_size = config.batch_size,
                                       .row = source.input.extent,
                                       .bad_samples = bad_samples(config.data),
                                       .threads = config.data.workers});
  const InputPipeline input(source.input, parse_device(config.device));
  std::vector<float> logits;
  const EvalResult result = evaluate(*model, loader, input,
                                     {.limit_batches = limit,
                                      .progress = json ? stderr : stdout,
                                      .logits = logits_file.empty() ? nullptr : &logits});
  report_skipped(loader);
  if (!logits_file.empty()) save_logits(logits_file, logits, result.count);
  if (json) fmt::print("{}\n", to_json(result));
  return 0;
}

}  // namespace convoy::apps
