// SPDX-License-Identifier: MIT
#pragma once
// What the calls of the runtime share. Work is done at the call, in the order of the calls; what is
// captured is kept.

#include <cuda_runtime_api.h>

#include <functional>

namespace convoy::ptx {

using Task = std::function<void()>;

int device_arch();  // CONVOY_PTX_ARCH: 90, for 9.0, or 80

// The status, which is the calling thread's last error from now on.
cudaError_t failed(cudaError_t status);
// Every call's answer after a kernel has failed; success until then.
cudaError_t end_of_device();
void end_device(cudaError_t status);

// Does the task, or captures it.
cudaError_t enqueue(cudaStream_t stream, Task task);
bool thread_captures();

}  // namespace convoy::ptx
