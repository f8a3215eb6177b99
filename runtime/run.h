// SPDX-License-Identifier: MIT
#pragma once
// How an op reaches the device: plan, take the workspace, launch, in a profiler span.
//
//   run(Conv2dForward{g, x.data(), ...}, x.stream());

#include <source_location>

#include "kernels/base.h"
#include "kernels/launch_log.h"
#include "runtime/allocator.h"
#include "runtime/profiler.h"

namespace convoy {

template <class Op>
void run(const Op& op, const Stream& stream,
         std::source_location by = std::source_location::current()) {
  const ProfileSpan span(kernel_name(op), stream.device);
  const Plan how = plan(op, stream.device);
  if (stream.device.type != DeviceType::cpu)
    note_launch(stream.device, kernel_name(op), how.variant);
  if (how.workspace_bytes == 0) return run(op, how, nullptr, stream);
  const Workspace workspace(stream.device, how.workspace_bytes, by);
  run(op, how, workspace.data(), stream);
}

}  // namespace convoy
