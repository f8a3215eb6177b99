// SPDX-License-Identifier: MIT
#include "nn/models.h"

#include <CLI/CLI.hpp>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "kernels/require.h"

namespace convoy::apps {

int run_models(const Arguments& arguments) {
  std::string filter;
  CLI::App app("List the models.", "convoy models");
  app.add_option("--filter", filter, "only names that contain this");
  if (!parse(app, arguments)) return 0;
  for (const nn::ModelInfo& m : nn::model_list()) {
    if (std::string(m.name).find(filter) == std::string::npos) continue;
    fmt::print("{:<18} {:>3} x {:<3} {:>5} classes  {}\n", m.name, m.image_size, m.image_size,
               m.num_classes, m.description);
  }
  return 0;
}

}  // namespace convoy::apps
