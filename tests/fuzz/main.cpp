// SPDX-License-Identifier: MIT
// libFuzzer's entry, compiled once for each function of targets.h.
#include <cstddef>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  convoy::fuzz::CONVOY_FUZZ_TARGET({bytes, size});
  return 0;
}
