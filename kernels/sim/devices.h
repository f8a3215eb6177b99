// SPDX-License-Identifier: MIT
#pragma once
// Several simulated GPUs: CONVOY_SIM_DEVICES=2 gives sim:0 and sim:1. They share the machine's
// memory and its cores; streams and events belong to one, as on CUDA.

#include "kernels/sim/cuda_runtime.h"

namespace convoy::on_sim {

inline constexpr int kMostDevices = 16;

// From now on, until restart(), every call to the device returns the error, as after a kernel of a
// real one has gone wrong.
void break_device(int device, cudaError_t error);
inline constexpr auto kIllegalAddress = static_cast<cudaError_t>(700);

}  // namespace convoy::on_sim
