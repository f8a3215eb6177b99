// SPDX-License-Identifier: MIT
#include "apps/trainer/inference.h"

#include <algorithm>

#include "apps/trainer/checkpoint.h"
#include "apps/trainer/setup.h"
#include "kernels/require.h"
#include "nn/models.h"
#include "nn/parameter_store.h"
#include "runtime/device.h"

namespace convoy::apps {

CheckpointDefaults with_checkpoint_defaults(const InferenceConfig& config,
                                            const std::vector<std::string>& given) {
  if (config.checkpoint.empty()) fail_usage("--checkpoint is needed: the weights to use");
  check(config.data);
  check_threads(config.threads);
  half_dtype(config.precision, config.device);
  CheckpointDefaults found{config, {}};
  if (!fs::is_directory(config.checkpoint)) {
    if (!fs::exists(config.checkpoint)) {
      fail_data("checkpoint {}: expected a file or folder, found none", config.checkpoint);
    }
    if (config.model.empty())
      fail_usage("--model is needed: {} does not say it", config.checkpoint);
    return found;
  }
  const fs::path checkpoint = find_checkpoint(config.checkpoint);
  const CheckpointState saved = load_state(checkpoint);
  const auto absent = [&](const char* flag) {
    return std::find(given.begin(), given.end(), flag) == given.end();
  };
  InferenceConfig& c = found.config;
  c.checkpoint = checkpoint.string();
  if (absent("model")) c.model = saved.model;
  if (c.model != saved.model) {
    fail_usage("--model expects {}, the checkpoint's own, found {}", saved.model, c.model);
  }
  if (absent("dataset")) c.data.dataset = saved.dataset;
  if (absent("img-size")) c.data.img_size = static_cast<int>(saved.input.extent.height);
  if (absent("mean")) c.data.mean = saved.input.mean;
  if (absent("std")) c.data.std = saved.input.std;
  found.class_names = saved.class_names;
  return found;
}

std::unique_ptr<nn::Module> load_for_inference(const InferenceConfig& config, int num_classes,
                                               const data::ImageExtent& extent) {
  if (config.threads > 0) set_compute_threads(config.threads);
  set_simulator(config.simulator);
  set_kernels(config.kernel, parse_device(config.device));
  auto model = nn::create_model(
      config.model, {.num_classes = num_classes, .in_channels = static_cast<int>(extent.channels)});
  nn::ParameterStore store(*model, parse_device(config.device), {},
                           half_dtype(config.precision, config.device));
  config.use_ema ? load_averages(config.checkpoint, *model, store)
                 : load_model(config.checkpoint, *model, store);
  require_fit(*model, config.model, extent, parse_device(config.device));
  return model;
}

InputPipeline input_for(const InferenceConfig& config, const InputFormat& format) {
  return {format, parse_device(config.device),
          half_dtype(config.precision, config.device).value_or(DType::f32)};
}

}  // namespace convoy::apps
