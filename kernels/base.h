// SPDX-License-Identifier: MIT
#pragma once
// What every kernel op is made of: dtypes, devices, streams, plans and the macro that declares an
// op on all three devices. kernels/ is raw maths on raw pointers: it never allocates and knows no
// Tensor.
//
//   struct Fill { std::int64_t count; void* y; double value; DType dtype; };
//   CONVOY_KERNEL_OP(Fill)                        // declares on_cpu::run(Fill) and its siblings
//   run(Fill{n, p, 0.0, DType::f32}, {}, nullptr, stream);

#include <cstddef>
#include <cstdint>
#include <optional>

#include "kernels/require.h"
#include "kernels/shape.h"
#include "kernels/step_state.h"

namespace convoy {

enum class DType : std::uint8_t { f32, f16, bf16, f64, u8, i32, i64 };

std::size_t size_of(DType dtype);  // bytes per element
const char* name(DType dtype);     // "f32"
bool is_floating(DType dtype);
// What losses, and statistics that are kept for a gradient or over steps, are stored in: f32 for
// f16 and bf16, otherwise the dtype itself.
DType statistics_dtype(DType dtype);
// What a result is written in where an op lets its caller choose: `chosen`, or the operands' dtype.
// f16 and bf16 operands may have an f32 result, as the gradients of half parameters are kept in it;
// any other choice throws "OP: FIELD expects f16 or f32, found bf16".
DType result_dtype(const char* op, const char* field, DType operands, std::optional<DType> chosen);
inline std::string to_text(DType dtype) { return name(dtype); }

enum class DeviceType : std::uint8_t { cpu, sim, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  friend constexpr bool operator==(const Device&, const Device&) = default;
};
const char* name(DeviceType type);
std::string to_text(const Device& device);  // "cpu", "sim", "cuda:1"

// Work on one stream runs in order. `handle` is a cudaStream_t on cuda, unused on cpu.
struct Stream {
  Device device;
  void* handle = nullptr;
};

// How an op will run: a pure function of shape, device and tuning table. No op times anything.
struct Plan {
  const char* variant = "";         // which rung of the op's ladder, by name
  std::size_t workspace_bytes = 0;  // scratch that the caller hands to run, 64-byte aligned
  const void* state = nullptr;      // a cached library primitive, owned by its cache
};

// Which devices this build has. A device that is there must implement every op: a forgotten one
// is a link error that names it.
#ifdef CONVOY_HAS_CUDA
inline constexpr bool kHasCuda = true;
#else
inline constexpr bool kHasCuda = false;
#endif
#ifdef CONVOY_HAS_SIM
inline constexpr bool kHasSim = true;
#else
inline constexpr bool kHasSim = false;
#endif

[[noreturn]] void no_such_device(const char* op, const Device& device);

// Declares plan and run of `Op` for each device, and defines the switch over the stream's device.
#define CONVOY_KERNEL_OP(Op)                                                                      \
  namespace on_cpu {                                                                              \
  Plan plan(const Op& op, const Device& device);                                                  \
  void run(const Op& op, const Plan& plan, void* workspace, const Stream& stream);                \
  }                                                                                               \
  namespace on_sim {                                                                              \
  Plan plan(const Op& op, const Device& device);                                                  \
  void run(const Op& op, const Plan& plan, void* workspace, const Stream& stream);                \
  }                                                                                               \
  namespace on_cuda {                                                                             \
  Plan plan(const Op& op, const Device& device);                                                  \
  void run(const Op& op, const Plan& plan, void* workspace, const Stream& stream);                \
  }                                                                                               \
  inline const char* kernel_name(const Op&) { return #Op; }                                       \
  inline Plan plan(const Op& op, const Device& device) {                                          \
    if (device.type == DeviceType::cpu) return on_cpu::plan(op, device);                          \
    if constexpr (kHasSim) {                                                                      \
      if (device.type == DeviceType::sim) return on_sim::plan(op, device);                        \
    }                                                                                             \
    if constexpr (kHasCuda) {                                                                     \
      if (device.type == DeviceType::cuda) return on_cuda::plan(op, device);                      \
    }                                                                                             \
    no_such_device(#Op, device);                                                                  \
  }                                                                                               \
  inline void run(const Op& op, const Plan& plan, void* workspace, const Stream& stream) {        \
    if (stream.device.type == DeviceType::cpu) return on_cpu::run(op, plan, workspace, stream);   \
    if constexpr (kHasSim) {                                                                      \
      if (stream.device.type == DeviceType::sim) return on_sim::run(op, plan, workspace, stream); \
    }                                                                                             \
    if constexpr (kHasCuda) {                                                                     \
      if (stream.device.type == DeviceType::cuda)                                                 \
        return on_cuda::run(op, plan, workspace, stream);                                         \
    }                                                                                             \
    no_such_device(#Op, stream.device);                                                           \
  }

}  // namespace convoy
