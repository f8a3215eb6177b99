// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/trainer/setup.h"
#include "kernels/require.h"
#include "nn/models.h"
#include "runtime/autograd.h"

namespace convoy::apps {
namespace {

struct Row {
  std::string name;
  Shape output;
  std::int64_t parameters = 0, multiplications = 0;
};

// A convolution or linear layer multiplies each output value with one filter's weights.
std::int64_t multiplications(const nn::Module& layer, const Tensor& y) {
  for (const nn::NamedTensor& p : layer.parameters()) {
    if (p.name == "weight" && p.tensor.rank() >= 2) {
      return y.count() * (p.tensor.count() / p.tensor.size(0));
    }
  }
  return 0;
}

// Runs one image through the model and lists its layers in the order in which they ran.
std::vector<Row> run_and_list(nn::Module& model, const Shape& input) {
  std::vector<std::pair<const nn::Module*, std::string>> names;
  model.visit([&](nn::Module& m, const std::string& name) { names.emplace_back(&m, name); });
  std::vector<Row> rows;
  const nn::ForwardObserver observer([&](const nn::Module& m, const Tensor& y) {
    if (m.has_children()) return;
    for (const auto& [module, name] : names) {
      if (module == &m)
        rows.push_back({name, y.shape(), m.parameter_count(), multiplications(m, y)});
    }
  });
  const NoGrad inference;
  model.eval();
  model(zeros(input));
  return rows;
}

void print_table(const std::vector<Row>& rows, const nn::Module& model) {
  fmt::print("{:<40} {:>20} {:>14} {:>16}\n", "layer", "output", "parameters", "multiply-adds");
  std::int64_t total = 0, activations = 0;
  for (const Row& r : rows) {
    fmt::print("{:<40} {:>20} {:>14} {:>16}\n", r.name, to_text(r.output), r.parameters,
               r.multiplications);
    total += r.multiplications;
    activations += r.output.count();
  }
  fmt::print(
      "total: {} parameters ({:.1f} MB in f32), {:.4g} G multiply-adds and {:.1f} MB of layer "
      "outputs per image\n",
      model.parameter_count(), static_cast<double>(model.parameter_count()) * 4e-6,
      static_cast<double>(total) * 1e-9, static_cast<double>(activations) * 4e-6);
}

}  // namespace

int run_summary(const Arguments& arguments) {
  std::string name = peek(arguments, "--model", "resnet18");
  const nn::ModelInfo& info = nn::model_info(name);
  int classes = info.num_classes, channels = info.in_channels, size = info.image_size;
  CLI::App app("A model's layers, parameters, multiplications and activations.", "convoy summary");
  FlagAdder flags(app);
  flags.group("Model");
  flags("model", name, "see convoy models");
  flags("num-classes", classes, "outputs of the classifier");
  flags("in-chans", channels, "channels of the image");
  flags("img-size", size, "side of the image");
  if (!parse(app, arguments)) return 0;
  if (channels < 1 || size < 1) {
    fail_usage("--in-chans and --img-size expect 1 or more, found {} and {}", channels, size);
  }
  const auto model = nn::create_model(name, {.num_classes = classes, .in_channels = channels});
  nn::initialize(*model, 0);
  require_fit(*model, name, {size, size, channels}, Device{});
  print_table(run_and_list(*model, {1, size, size, channels}), *model);
  return 0;
}

}  // namespace convoy::apps
