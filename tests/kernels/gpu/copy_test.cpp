// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include "tests/support/gpu_case.h"

namespace convoy::testing {
namespace {

GPU_CASE(FillKernel, AnySize) {
  for_each_dtype([](DType dtype) {
    for (const std::int64_t count : {0, 1, 255, 256, 257, 1000}) {
      const DeviceArray y(dtype, count);
      run_on_device(Fill{count, y.data(), 0.3, dtype});
      expect_equal(y, rounded(dtype, std::vector<double>(static_cast<std::size_t>(count), 0.3)),
                   "fill");
    }
  });
}

}  // namespace
}  // namespace convoy::testing
