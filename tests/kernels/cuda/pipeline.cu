// SPDX-License-Identifier: MIT
// The pipeline of tests/kernels/sim/pipeline.cuh as nvcc sees it: every warning is an error,
// ptxas's about registers and serialised wgmma among them.
#include "tests/kernels/sim/pipeline.cuh"

#include "tests/kernels/cuda/instructions.h"

namespace convoy::CONVOY_TARGET {
namespace {

template <class Config>
void run_as(const void* a, const void* b, void* c, ProductShape s, const Stream& stream) {
  using T = typename Config::T;
  run_pipeline<Config>(static_cast<const T*>(a), static_cast<const T*>(b), static_cast<T*>(c),
                       {s.m, s.n, s.k}, 2, stream);
}

}  // namespace

void run_pipelines(DType dtype, int n_of_tile, const void* a, const void* b, void* c,
                   ProductShape shape, const Stream& stream) {
  if (dtype == DType::bf16) return run_as<PipelineConfig<BF16, 256, 3>>(a, b, c, shape, stream);
  if (n_of_tile == 64) return run_as<PipelineConfig<F16, 64, 3>>(a, b, c, shape, stream);
  run_as<PipelineConfig<F16, 128, 4>>(a, b, c, shape, stream);
}

}  // namespace convoy::CONVOY_TARGET
