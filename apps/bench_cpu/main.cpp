// SPDX-License-Identifier: MIT
// bench_cpu [FILTER] [SECONDS]: our convolutions against bare oneDNN primitives.
#include <fmt/format.h>

#include <cstdlib>

#include "apps/bench_cpu/bench.h"

int main(int count, char** arguments) {
  using namespace convoy::bench;
  const std::string filter = count > 1 ? arguments[1] : "";
  const double seconds = count > 2 ? std::atof(arguments[2]) : 0.3;
  for (const Row& r : conv_layers(filter, seconds)) {
    fmt::print("{:30} {:16} {:12} {:8.3f} ms  oneDNN {:4} {:8.3f} ms  ratio {:.3f}\n", r.layer,
               r.pass, r.variant, r.ours * 1e3, r.bare_layout, r.bare * 1e3, r.ours / r.bare);
  }
}
