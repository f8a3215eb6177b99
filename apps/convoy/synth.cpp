// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "apps/convoy/command.h"
#include "data/synth.h"
#include "kernels/require.h"

namespace convoy::apps {

int run_synth(const Arguments& arguments) {
  std::string folder;
  data::SynthOptions options;
  CLI::App app(
      "Write a small data set of drawn digits as JPEG files: DIR/{train,val}/<digit>/*.jpg.",
      "convoy synth");
  app.add_option("dir,--output", folder, "a new or empty folder")->required();
  app.add_option("--train-per-class", options.train_per_class, "training images per digit")
      ->capture_default_str();
  app.add_option("--val-per-class", options.val_per_class, "held-out images per digit")
      ->capture_default_str();
  app.add_option("--img-size", options.size, "side in pixels")->capture_default_str();
  app.add_option("--quality", options.quality, "of the JPEG files")->capture_default_str();
  app.add_option("--seed", options.seed, "the same seed gives the same files")
      ->capture_default_str();
  if (!parse(app, arguments)) return 0;
  data::write_synth(folder, options);
  fmt::print("{}: {} training and {} held-out images of 10 classes, {} x {} pixels\n", folder,
             10 * options.train_per_class, 10 * options.val_per_class, options.size, options.size);
  return 0;
}

}  // namespace convoy::apps
