// SPDX-License-Identifier: MIT
#pragma once
// A trained model and what it expects of its input, from a checkpoint or from bare weights.

#include <memory>
#include <string>
#include <vector>

#include "apps/trainer/config.h"
#include "apps/trainer/input.h"
#include "apps/trainer/open_data.h"
#include "nn/module.h"

namespace convoy::apps {

struct InferenceConfig {
  DataConfig data;
  std::string model;       // needed for bare weights; a checkpoint knows its own
  std::string checkpoint;  // checkpoint, a run's output folder, or safetensors
  bool use_ema = false;    // its averages in place of its weights
  int threads = 0;
  std::string device = "cpu";
  PrecisionConfig precision;
  SimulatorConfig simulator;
  KernelConfig kernel;
};

// What a checkpoint says of its model becomes the default of every field that `given` does not
// list (flags without dashes, such as "img-size"). Bare weights leave the fields as they are.
struct CheckpointDefaults {
  InferenceConfig config;
  std::vector<std::string> class_names;
};
CheckpointDefaults with_checkpoint_defaults(const InferenceConfig& config,
                                            const std::vector<std::string>& given);

// The model with its weights, in evaluation mode, on the device. Throws a usage error when images
// of `extent` do not suit it.
std::unique_ptr<nn::Module> load_for_inference(const InferenceConfig& config, int num_classes,
                                               const data::ImageExtent& extent);

// Pictures as the model takes them, in its dtype.
InputPipeline input_for(const InferenceConfig& config, const InputFormat& format);

template <class Visitor>
void describe(InferenceConfig& c, Visitor&& v) {
  v.group("Model");
  v("model", c.model, "see convoy models; a checkpoint knows its own");
  v("checkpoint", c.checkpoint, "a checkpoint, a run's output folder, or a safetensors file");
  v("use-ema", c.use_ema, "the averages of a run with --model-ema in place of its weights");
  v.group("Device");
  v("device", c.device, "cpu, sim, cuda or cuda:1 (what this build has: convoy devices)");
  v("threads", c.threads, "compute threads; 0: the cores that this process may use");
  describe_precision(c.precision, v);
  describe_kernels(c.kernel, v);
  describe_simulator(c.simulator, v);
}

}  // namespace convoy::apps
