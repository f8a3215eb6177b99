// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "apps/convoy/command.h"
#include "runtime/device.h"

namespace convoy::apps {

int run_devices(const Arguments& arguments) {
  CLI::App app("List what this build can run on here.", "convoy devices");
  if (!parse(app, arguments)) return 0;
  for (const Device& device : available_devices()) {
    fmt::print("{:<8} {}\n", to_text(device), backend(device).description());
  }
  const std::string why = why_no_gpu();
  if (!why.empty()) fmt::print("{:<8} none: {}\n", "cuda", why);
  return 0;
}

}  // namespace convoy::apps
