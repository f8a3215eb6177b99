// SPDX-License-Identifier: MIT
#pragma once
// The device of tests of the hand-written kernels and of what stands on them: the simulator, or
// with CONVOY_TEST_DEVICE=cuda in the environment a GPU.

#include <cstdlib>
#include <string_view>

#include "kernels/base.h"

namespace convoy::testing {

inline Device gpu_device() {
  const char* wanted = std::getenv("CONVOY_TEST_DEVICE");
  const bool on_gpu = wanted != nullptr && std::string_view(wanted) == "cuda";
  require(kHasCuda || !on_gpu, "test: CONVOY_TEST_DEVICE is cuda, which this build does not have");
  return {on_gpu ? DeviceType::cuda : DeviceType::sim};
}

}  // namespace convoy::testing
