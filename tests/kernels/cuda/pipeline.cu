// SPDX-License-Identifier: MIT
// The pipeline of tests/kernels/sim/pipeline.cuh as nvcc sees it: every warning is an error, ptxas's
// about registers and serialised wgmma among them.
#include "tests/kernels/sim/pipeline.cuh"

namespace convoy::CONVOY_TARGET {

void compile_pipelines(const Stream& stream, F16* x, BF16* y) {
  const PipelineShape shape{1, 1, 1};
  run_pipeline<PipelineConfig<F16, 64, 3>>(x, x, x, shape, 1, stream);
  run_pipeline<PipelineConfig<F16, 128, 4>>(x, x, x, shape, 1, stream);
  run_pipeline<PipelineConfig<BF16, 256, 3>>(y, y, y, shape, 1, stream);
}

}  // namespace convoy::CONVOY_TARGET
