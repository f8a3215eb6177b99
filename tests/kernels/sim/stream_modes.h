// SPDX-License-Identifier: MIT
#pragma once
// What tests of streams share: every way in which asynchronous work may be ordered.

#include <string>

#include "kernels/sim/cuda_runtime.h"
#include "kernels/sim/options.h"
#include "tests/support/errors.h"

namespace convoy::testing {

constexpr std::uint64_t kSeeds = 50;

inline std::string to_text(sim::Async async, std::uint64_t seed) {
  if (async == sim::Async::eager) return "eager";
  if (async == sim::Async::late) return "late";
  return fmt::format("seed {}", seed);
}

// Runs the body eagerly, late, and with each of 50 seeds; it is given the mode as text.
template <class Body>
void over_modes(Body body) {
  for (const sim::Async async : {sim::Async::eager, sim::Async::late, sim::Async::seeded}) {
    for (std::uint64_t seed = 0; seed < (async == sim::Async::seeded ? kSeeds : 1); ++seed) {
      sim::options() = {.async = async, .seed = seed};
      on_sim::restart();
      body(to_text(async, seed));
    }
  }
  sim::options() = {};
  on_sim::restart();
}

// Sets a mode for one scope.
class ScopedMode {
 public:
  explicit ScopedMode(sim::Async async, std::uint64_t seed = 0) {
    sim::options() = {.async = async, .seed = seed};
    on_sim::restart();
  }
  ~ScopedMode() {
    sim::options() = {};
    on_sim::restart();
  }
  ScopedMode(const ScopedMode&) = delete;
  ScopedMode& operator=(const ScopedMode&) = delete;
};

// "tests/kernels/sim/streams_test.cpp:LINE" as error texts have it.
#define CONVOY_LINE(line) fmt::format("{}:{}", kFile, line)

}  // namespace convoy::testing
