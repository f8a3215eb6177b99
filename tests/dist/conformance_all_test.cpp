// SPDX-License-Identifier: MIT
// The conformance test's engine of this program: Gloo on host memory, in every case.
#include "tests/dist/engines.h"

namespace convoy::dist {

std::vector<Engine> engines() {
  return {{.name = "gloo_in_every_case",
           .make = gloo(std::chrono::seconds(120)),
           .devices = [](int) { return std::vector{Device{}}; },
           .every_case = true}};
}

OneOfMany* one_of_many() { return nullptr; }

}  // namespace convoy::dist
