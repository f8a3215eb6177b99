// SPDX-License-Identifier: MIT
#pragma once
// Tests of the hand-written kernels. A case computes on the device and compares with a reference;
// it runs under every schedule and async mode of the simulator, and once more for each mutant of
// each barrier, wait and bounds check that it passes (mutate_kernels).
//
//   GPU_CASE(GemmKernel, Ragged) {
//     for_each_dtype([](DType dtype) {
//       const DeviceArray a(dtype, random_doubles(dtype, M * K, 1)), ...;
//       DeviceArray c(dtype, M * N);
//       run_on_device(dense_gemm(M, N, K, a.data(), false, b.data(), false, c.data(), dtype));
//       expect_close(c, reference::gemm(...), sum_bound(K), "gemm");
//     });
//   }
//
// Cases are small: they run some thirty times. With CONVOY_TEST_DEVICE=cuda in the environment they
// run once, on a GPU; tests that are no cases speak of the simulator and stay there.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/base.h"
#include "tests/support/compare.h"

namespace convoy::testing {

inline constexpr Device kSimDevice{DeviceType::sim};
// The device of the cases: the simulator's, or a GPU.
Device case_device();

// Values as a dtype holds them, in double precision: what a reference is computed from.
std::vector<double> rounded(DType dtype, std::vector<double> values);
// In [-1, 1] and moved by `shift`, rounded, the same for the same seed.
std::vector<double> random_doubles(DType dtype, std::int64_t count, std::uint32_t seed,
                                   double shift = 0);

// Device memory of exactly the size of its values, between two fences: what is written outside is a
// failure when the array goes. On a GPU, CONVOY_TEST_FENCES=0 leaves them out, for tools that know
// where an allocation ends.
class DeviceArray {
 public:
  DeviceArray(DType dtype, std::int64_t count);  // not written
  DeviceArray(DType dtype, const std::vector<double>& values);
  ~DeviceArray();
  DeviceArray(DeviceArray&& other) noexcept;
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  DeviceArray& operator=(DeviceArray&&) = delete;

  DType dtype() const { return dtype_; }
  std::int64_t count() const { return count_; }
  void* data() const { return data_; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }
  // Everything computed so far is in them.
  std::vector<double> values() const;

 private:
  DType dtype_;
  std::int64_t count_;
  void* data_;
};

// Any struct in device memory: StepState, ImageRow, ParameterSlice.
template <class T>
class DeviceValues {
 public:
  explicit DeviceValues(const std::vector<T>& values)
      : bytes_(DType::u8, static_cast<std::int64_t>(values.size() * sizeof(T))) {
    write(values.data());
  }
  T* data() const { return bytes_.as<T>(); }
  std::vector<T> values() const;

 private:
  void write(const T* values);
  DeviceArray bytes_;
};

void copy_to_device(void* to, const void* from, std::size_t bytes);
void copy_from_device(void* to, const void* from, std::size_t bytes);
// Errors of kernels are thrown here.
void wait_for_device();

template <class T>
void DeviceValues<T>::write(const T* values) {
  copy_to_device(bytes_.data(), values, static_cast<std::size_t>(bytes_.count()));
}
template <class T>
std::vector<T> DeviceValues<T>::values() const {
  std::vector<T> result(static_cast<std::size_t>(bytes_.count()) / sizeof(T));
  copy_from_device(result.data(), bytes_.data(), static_cast<std::size_t>(bytes_.count()));
  return result;
}

// Plans and runs with a workspace of exactly the size that was asked for, unwritten.
template <class Op>
void run_on_device(const Op& op) {
  const Stream stream{case_device()};
  const Plan how = plan(op, case_device());
  const DeviceArray workspace(DType::u8, static_cast<std::int64_t>(how.workspace_bytes));
  run(op, how, how.workspace_bytes > 0 ? workspace.data() : nullptr, stream);
  wait_for_device();
}

double epsilon(DType dtype);

// Arithmetic in f32, rounded once to the dtype:
// eps(f32) * factor * (|ref| + sqrt(k) * scale) + eps(dtype) * |ref|, and the dtype's smallest
// step. NaN and infinities of the reference must be found as they are.
void expect_close(const std::vector<double>& found, DType dtype,
                  const std::vector<double>& reference, Bound bound, const std::string& what);
inline void expect_close(const DeviceArray& found, const std::vector<double>& reference,
                         Bound bound, const std::string& what) {
  expect_close(found.values(), found.dtype(), reference, bound, what);
}
// The same bits, for results that are not rounded.
void expect_equal(const DeviceArray& found, const std::vector<double>& reference,
                  const std::string& what);

template <class Body>
void for_each_dtype(Body body) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    SCOPED_TRACE(name(dtype));
    body(dtype);
  }
}

struct GpuCase {
  const char* suite;
  const char* name;
  void (*body)();
};
std::vector<GpuCase>& gpu_cases();
inline bool add_gpu_case(const GpuCase& c) {
  gpu_cases().push_back(c);
  return true;
}
// Ascending, descending and seeded schedules, with eager, late and seeded asynchronous work; on a
// GPU once.
void over_modes(void (*body)());

#define GPU_CASE(suite, name)                                                  \
  static void suite##_##name##_case();                                         \
  [[maybe_unused]] static const bool suite##_##name##_added =                  \
      ::convoy::testing::add_gpu_case({#suite, #name, suite##_##name##_case}); \
  TEST(suite, name) { ::convoy::testing::over_modes(suite##_##name##_case); }  \
  static void suite##_##name##_case()

// Whether the cases' device has warpgroup products: the simulator, and of GPUs those of 9.0.
bool has_wgmma();
#define NEEDS_WGMMA() \
  if (!::convoy::testing::has_wgmma()) GTEST_SKIP() << "needs a GPU of compute capability 9.0"

}  // namespace convoy::testing
