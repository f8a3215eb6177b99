// SPDX-License-Identifier: MIT
#include "kernels/sim/cuda_runtime.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "kernels/gpu/current_device.h"
#include "kernels/require.h"
#include "kernels/sim/devices.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/options.h"
#include "kernels/sim/runtime_state.h"

namespace convoy::on_sim {

namespace {

thread_local int device_in_use = 0;

int device_count() {
  static const int count = [] {
    const char* text = std::getenv("CONVOY_SIM_DEVICES");
    if (text == nullptr) return 1;
    const int found = std::atoi(text);
    if (found < 1 || found > kMostDevices) {
      fail_usage("CONVOY_SIM_DEVICES expects 1 to {}, found '{}'", kMostDevices, text);
    }
    return found;
  }();
  return count;
}

bool is_device(int device) { return device >= 0 && device < device_count(); }

}  // namespace

RuntimeState::RuntimeState() { null_stream.number = streams.create(); }

RuntimeState& state() {
  // Never destroyed: tensors with static storage may outlive main.
  static RuntimeState& instance = *new RuntimeState;
  return instance;
}

void fault(std::string text, const Where& where) {
  throw_error(std::move(text), ErrorKind::failure, where);
}

SimStream& RuntimeState::stream(cudaStream_t handle, const char* op, const Where& where) {
  return handle == nullptr ? null_stream : stream_handles.expect(handle, op, "a stream", where);
}

SimEvent& RuntimeState::event(cudaEvent_t handle, const char* op, const Where& where) {
  return event_handles.expect(handle, op, "an event", where);
}

sim::Mark RuntimeState::add(SimStream& stream, const sim::Request& request) {
  if (stream.capture) return stream.capture->add(stream.lane, request);
  return streams.enqueue(stream.number, request);
}

void RuntimeState::forbid_during_capture(const char* op, const Where& where) const {
  for (const auto& capture : captures) {
    if (!capture->forbids_this_thread()) continue;
    capture->invalid = true;
    fault(fmt::format("{}: not allowed during the capture that began at {}", op,
                      sim::place(capture->begun())),
          where);
  }
}

int current_device() { return device_in_use; }

cudaError_t answer(const RuntimeState& s) {
  const auto found = s.broken.find(device_in_use);
  return found == s.broken.end() ? cudaSuccess : found->second;
}

void break_device(int device, cudaError_t error) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  s.broken[device] = error;
}

const char* cudaGetErrorString(cudaError_t error) {
  if (error == kIllegalAddress) return "an illegal memory access was encountered";
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
  }
  return "unknown error";
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!is_device(device)) return cudaErrorInvalidDevice;
  *properties = {};
  std::strcpy(properties->name, "SIMT simulator");
  properties->totalGlobalMem = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                               static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  properties->sharedMemPerBlockOptin = std::size_t{227} << 10;
  properties->multiProcessorCount = sim::kMultiprocessors;
  properties->major = 9;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (!is_device(device)) return cudaErrorInvalidDevice;
  device_in_use = device;
  return cudaSuccess;
}

void use_device(int index) {
  if (cudaSetDevice(index) != cudaSuccess) {
    fail("sim: expects a device below {}, found {}", device_count(), index);
  }
}

cudaError_t cudaDeviceSynchronize(Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  s.forbid_during_capture("cudaDeviceSynchronize", where);
  s.streams.wait_for_all();
  return cudaSuccess;
}

void submit(cudaStream_t handle, std::string what, Where where, std::function<void()> work) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimStream& stream = s.stream(handle, "launch", where);
  if (stream.device != device_in_use) {
    fault(fmt::format("launch: expects a stream of the current device {}, found one of {}",
                      device_in_use, stream.device),
          where);
  }
  s.add(stream, {std::move(what), where, std::move(work), {}});
}

void restart() {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  s.streams.restart();
  for (const auto& capture : s.captures) capture->invalid = true;
  s.released.clear();
  s.broken.clear();
}

}  // namespace convoy::on_sim
