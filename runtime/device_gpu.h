// SPDX-License-Identifier: MIT
#pragma once
// The GPU's backends. device_gpu.cpp is compiled twice: against the CUDA runtime, and for the
// simulator against its stand-in (kernels/sim/cuda_runtime.h). Each is linked where the build has
// that device.

#include "runtime/device.h"

namespace convoy::on_sim {
int gpu_count();
DeviceBackend& gpu_backend(int index);  // throws Error where there is none
}  // namespace convoy::on_sim

namespace convoy::on_cuda {
int gpu_count();
DeviceBackend& gpu_backend(int index);
}  // namespace convoy::on_cuda
