// SPDX-License-Identifier: MIT
#pragma once
// How an op reaches the device: plan, take the workspace, launch, in a profiler span.
//
//   run(Conv2dForward{g, x.data(), ...}, x.stream());

#include "kernels/base.h"
#include "runtime/allocator.h"
#include "runtime/profiler.h"

namespace convoy {

template <class Op>
void run(const Op& op, const Stream& stream) {
  const ProfileSpan span(kernel_name(op), stream.device);
  const Plan how = plan(op, stream.device);
  if (how.workspace_bytes == 0) return run(op, how, nullptr, stream);
  const Workspace workspace(stream.device, how.workspace_bytes);
  run(op, how, workspace.data(), stream);
}

}  // namespace convoy
