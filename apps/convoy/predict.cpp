// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/trainer/checkpoint.h"
#include "apps/trainer/inference.h"
#include "apps/trainer/input.h"
#include "data/transforms.h"
#include "kernels/require.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"

namespace convoy::apps {
namespace {

struct Guess {
  std::string name;
  float probability = 0;
};

std::vector<Guess> best(const std::vector<float>& probabilities,
                        const std::vector<std::string>& names, std::size_t topk) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] > probabilities[b];
  });
  std::vector<Guess> guesses;
  for (std::size_t i = 0; i < std::min(topk, order.size()); ++i) {
    const std::size_t k = order[i];
    guesses.push_back({k < names.size() ? names[k] : std::to_string(k), probabilities[k]});
  }
  return guesses;
}

// A single picture as the model sees it: a batch of one row.
void fill(const data::Batch& batch, const data::Image& decoded) {
  const data::Image image = data::with_channels(decoded, batch.extent.channels);
  batch.labels[0] = data::kNoLabel;
  batch.row[0] = {};
  data::resize_bilinear(image, data::centre_crop(image.extent, batch.extent, 1),
                        batch.extent.height, batch.extent.width, batch.images.data());
}

void print_guesses(const std::string& file, const std::vector<Guess>& guesses, bool json) {
  if (json) {
    nlohmann::ordered_json line{{"file", file}, {"predictions", nlohmann::ordered_json::array()}};
    for (const Guess& g : guesses) {
      line["predictions"].push_back({{"class", g.name}, {"probability", g.probability}});
    }
    fmt::print("{}\n", line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    return;
  }
  fmt::print("{}:", file);
  for (const Guess& g : guesses) fmt::print("  {} {:.1f} %", g.name, 100 * g.probability);
  fmt::print("\n");
}

}  // namespace

int run_predict(const Arguments& arguments) {
  InferenceConfig config;
  std::vector<std::string> files;
  std::size_t topk = 3;
  bool json = false;
  CLI::App app("Classify image files with a trained checkpoint.", "convoy predict");
  app.add_option("files", files, "JPEG, PNG, BMP or PNM files")->required();
  FlagAdder flags(app);
  describe(config, flags);
  flags.group("Output");
  flags("topk", topk, "classes per file");
  flags("json", json, "one line of JSON per file");
  if (!parse(app, arguments)) return 0;
  if (topk < 1) fail_usage("--topk expects 1 or more, found {}", topk);

  if (!config.checkpoint.empty() && fs::exists(config.checkpoint) &&
      !fs::is_directory(config.checkpoint)) {
    fail_usage(
        "--checkpoint expects a checkpoint or a run's output folder: bare weights name no classes");
  }
  const CheckpointDefaults defaults = with_checkpoint_defaults(config, given_flags(app));
  const CheckpointState state = load_state(defaults.config.checkpoint);
  const auto model = load_for_inference(defaults.config, static_cast<int>(state.class_names.size()),
                                        state.input.extent);
  const InputPipeline input = input_for(defaults.config, state.input);
  const NoGrad inference;
  data::BatchMemory memory(Device{}, 1, state.input.extent);
  int bad = 0;
  for (const std::string& file : files) {
    try {
      fill(memory.batch(), data::read_image(file));
      const Tensor logits = model->forward(input(memory.batch()).x);
      const Tensor probabilities = softmax(cast(logits, DType::f32));
      print_guesses(file, best(to_vector<float>(probabilities), state.class_names, topk), json);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::data) throw;
      fmt::print(stderr, "convoy: {}\n", e.what());
      ++bad;
    }
  }
  return bad ? 3 : 0;
}

}  // namespace convoy::apps
