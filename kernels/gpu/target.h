// SPDX-License-Identifier: MIT
#pragma once
// One source, two targets. Everything under kernels/gpu, and the GPU's host code in runtime/, is
// compiled twice: for CUDA, and for the simulator (docs/simulator.md). This header is the only one
// that tells them apart by `#if`; everything else says `if constexpr (kSim)` or says nothing.
//
//   namespace convoy::CONVOY_TARGET { ... }       // on_cuda or on_sim: no symbol is shared
//
// CONVOY_TARGET_SIM comes from the build, not from the compiler: host files are compiled by g++ for
// both.

#ifdef CONVOY_TARGET_SIM
#define CONVOY_TARGET on_sim
#include "kernels/sim/cuda_runtime.h"
#include "kernels/sim/simt.h"
#else
#define CONVOY_TARGET on_cuda
#include <cuda_runtime.h>

#include "kernels/gpu/cuda.h"
#endif
