// SPDX-License-Identifier: MIT
#include "tests/support/gpu_case.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "kernels/gpu/variants.h"
#include "kernels/half.h"
#include "kernels/sim/cuda_runtime.h"
#include "kernels/sim/options.h"
#include "tests/support/cuda_memory.h"
#include "tests/support/gpu_device.h"

namespace convoy::testing {
namespace {

// Calls f with a value of the dtype's type.
template <class F>
void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::f16:
      return f(F16{});
    case DType::bf16:
      return f(BF16{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::i64:
      return f(std::int64_t{});
  }
}

template <class T>
T to_stored(double value) {
  if constexpr (sizeof(T) == 2) {
    return from_double<T>(value);
  } else {
    return static_cast<T>(value);
  }
}
template <class T>
double to_number(T stored) {
  if constexpr (sizeof(T) == 2) {
    return to_float(stored);
  } else {
    return static_cast<double>(stored);
  }
}

// Device memory of the simulator, whose stand-in watches its ends.
struct SimMemory {
  static void check(on_sim::cudaError_t status) {
    require(status == on_sim::cudaSuccess, "test: {}", on_sim::cudaGetErrorString(status));
  }
  static void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    check(on_sim::cudaMalloc(&memory, bytes));
    return memory;
  }
  static void release(void* memory) { check(on_sim::cudaFree(memory)); }
  static void copy_in(void* to, const void* from, std::size_t bytes) {
    check(on_sim::cudaMemcpyAsync(to, from, bytes, on_sim::cudaMemcpyHostToDevice, nullptr));
    synchronize();
  }
  static void copy_out(void* to, const void* from, std::size_t bytes) {
    check(on_sim::cudaMemcpyAsync(to, from, bytes, on_sim::cudaMemcpyDeviceToHost, nullptr));
    synchronize();
  }
  static void synchronize() { check(on_sim::cudaStreamSynchronize(nullptr)); }
};

// Calls f with the memory of the device that cases run on.
template <class F>
auto with_memory(F f) {
  if constexpr (kHasCuda) {
    if (case_device().type == DeviceType::cuda) return f(CudaMemory{});
  }
  return f(SimMemory{});
}

}  // namespace

Device case_device() {
  static const Device device = gpu_device();
  return device;
}

std::vector<double> rounded(DType dtype, std::vector<double> values) {
  with_type(dtype, [&](auto type) {
    for (double& v : values) v = to_number(to_stored<decltype(type)>(v));
  });
  return values;
}

std::vector<double> random_doubles(DType dtype, std::int64_t count, std::uint32_t seed,
                                   double shift) {
  std::vector<double> values = random_values<double>(count, seed);
  for (double& v : values) v += shift;
  return rounded(dtype, values);
}

DeviceArray::DeviceArray(DType dtype, std::int64_t count) : dtype_(dtype), count_(count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * size_of(dtype);
  // Never null: a mutant that reads an empty array must fail, not end the mutation run.
  data_ =
      with_memory([&](auto memory) { return memory.allocate(std::max<std::size_t>(bytes, 1)); });
}

DeviceArray::DeviceArray(DType dtype, const std::vector<double>& values)
    : DeviceArray(dtype, static_cast<std::int64_t>(values.size())) {
  with_type(dtype, [&](auto type) {
    std::vector<decltype(type)> stored;
    for (const double v : values) stored.push_back(to_stored<decltype(type)>(v));
    copy_to_device(data_, stored.data(), stored.size() * sizeof(type));
  });
}

DeviceArray::DeviceArray(DeviceArray&& other) noexcept
    : dtype_(other.dtype_), count_(other.count_), data_(std::exchange(other.data_, nullptr)) {}

// A write outside of the array is said here, if not before.
DeviceArray::~DeviceArray() {
  try {
    with_memory([&](auto memory) { memory.release(data_); });
  } catch (const std::exception& error) {
    ADD_FAILURE() << error.what();
  }
}

std::vector<double> DeviceArray::values() const {
  std::vector<double> result;
  with_type(dtype_, [&](auto type) {
    std::vector<decltype(type)> stored(static_cast<std::size_t>(count_));
    copy_from_device(stored.data(), data_, stored.size() * sizeof(type));
    for (const auto v : stored) result.push_back(to_number(v));
  });
  return result;
}

void copy_to_device(void* to, const void* from, std::size_t bytes) {
  with_memory([&](auto memory) { memory.copy_in(to, from, bytes); });
}
void copy_from_device(void* to, const void* from, std::size_t bytes) {
  with_memory([&](auto memory) { memory.copy_out(to, from, bytes); });
}
void wait_for_device() {
  with_memory([](auto memory) { memory.synchronize(); });
}

double epsilon(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 0x1p-52;
    case DType::f32:
      return 0x1p-23;
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    default:
      return 0;
  }
}

void expect_close(const std::vector<double>& found, DType dtype,
                  const std::vector<double>& reference, Bound bound, const std::string& what) {
  ASSERT_EQ(found.size(), reference.size()) << what;
  const double smallest = dtype == DType::f16 ? 0x1p-24 : 0x1p-126;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!std::isfinite(reference[i])) {
      ASSERT_TRUE(std::isnan(reference[i]) ? std::isnan(found[i]) : found[i] == reference[i])
          << what << ": element " << i << " is " << found[i] << ", expected " << reference[i];
      continue;
    }
    const double arithmetic = epsilon(DType::f32) * bound.factor *
                              (std::abs(reference[i]) + std::sqrt(bound.k) * bound.scale);
    const double limit = arithmetic + epsilon(dtype) * std::abs(reference[i]) + smallest;
    ASSERT_TRUE(std::abs(found[i] - reference[i]) <= limit)
        << what << ": element " << i << " of " << found.size() << " is " << found[i]
        << ", expected " << reference[i] << " within " << limit;
  }
}

void expect_equal(const DeviceArray& found, const std::vector<double>& reference,
                  const std::string& what) {
  const std::vector<double> values = found.values();
  ASSERT_EQ(values.size(), reference.size()) << what;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const bool same =
        values[i] == reference[i] || (std::isnan(values[i]) && std::isnan(reference[i]));
    ASSERT_TRUE(same) << what << ": element " << i << " is " << values[i] << ", expected "
                      << reference[i];
  }
}

std::vector<GpuCase>& gpu_cases() {
  static std::vector<GpuCase> cases;
  return cases;
}

void over_modes(void (*body)()) {
  if (case_device().type == DeviceType::cuda) return body();
  using sim::Async;
  using sim::Schedule;
  const sim::Options before = sim::options();
  std::uint64_t seed = 1;
  for (const Schedule schedule : {Schedule::ascending, Schedule::descending, Schedule::seeded}) {
    for (const Async async : {Async::eager, Async::late, Async::seeded}) {
      sim::options() = {.schedule = schedule, .async = async, .seed = seed++};
      SCOPED_TRACE(::testing::Message() << "schedule " << static_cast<int>(schedule) << ", async "
                                        << static_cast<int>(async) << ", seed " << seed - 1);
      body();
      if (::testing::Test::HasFatalFailure()) break;
    }
  }
  sim::options() = before;
}

bool has_wgmma() {
  const Gemm fits = dense_gemm(64, 64, 64, nullptr, false, nullptr, false, nullptr, DType::f16);
  const auto names = variants(fits, gpu_device());
  return std::find(names.begin(), names.end(), std::string_view("wgmma")) != names.end();
}

}  // namespace convoy::testing
