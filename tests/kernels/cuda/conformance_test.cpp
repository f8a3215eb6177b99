// SPDX-License-Identifier: MIT
// Each instruction's asm on the GPU against its meaning on the simulator. Small integers must agree
// exactly; random numbers within what the tensor cores' own order and rounding of sums may make.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "kernels/gpu/cuda.h"
#include "kernels/half.h"
#include "runtime/tensor.h"
#include "tests/kernels/cuda/instructions.h"

namespace convoy {
namespace {

constexpr Device kSim{DeviceType::sim}, kCuda{DeviceType::cuda};

bool has_gpu(int least_capability) {
  for (const Device& device : available_devices()) {
    if (device.type == DeviceType::cuda) {
      return on_cuda::compute_capability(device) >= least_capability;
    }
  }
  return false;
}
#define NEEDS_GPU(capability)                                                          \
  if (!has_gpu(capability)) {                                                          \
    std::printf("needs a GPU of compute capability %d or newer\n", capability);        \
    GTEST_SKIP() << "needs a GPU of compute capability " << capability << " or newer"; \
  }

std::uint16_t bits_of(DType dtype, float value) {
  return dtype == DType::f16 ? from_float<F16>(value).bits : from_float<BF16>(value).bits;
}

enum class Numbers { small_integers, random };

// As bits, in an integer tensor: the runtime copies them as they are.
Tensor halves(DType dtype, int count, Numbers numbers, unsigned seed, const Device& device) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<std::uint16_t> values;
  for (int i = 0; i < count; ++i) {
    const float value =
        numbers == Numbers::random ? uniform(engine) : static_cast<float>(engine() % 7) - 3;
    values.push_back(bits_of(dtype, value));
  }
  return from_host(values.data(), {count}, {dtype, device});
}

// run(device) on both; elements may differ by `bound`.
template <class Run>
void compare(Run run, double bound, const std::string& what) {
  const std::vector<float> meaning = run(kSim), found = run(kCuda);
  ASSERT_EQ(meaning.size(), found.size());
  int wrong = 0;
  for (std::size_t i = 0; i < meaning.size(); ++i) {
    if (std::abs(static_cast<double>(meaning[i]) - found[i]) <= bound) continue;
    if (++wrong <= 3) {
      ADD_FAILURE() << what << ": element " << i << " is " << found[i] << " on the GPU, "
                    << meaning[i] << " by its meaning, bound " << bound;
    }
  }
  EXPECT_EQ(wrong, 0) << what << ": " << wrong << " of " << meaning.size() << " differ";
}

// Of a sum of k products of numbers in [-1, 1]: an addition in any order, cut or rounded, is off by
// one unit in the last place of a partial sum below k.
double sum_bound(Numbers numbers, int k) {
  return numbers == Numbers::small_integers ? 0 : 0x1p-23 * k * std::sqrt(k);
}

template <class Body>
void for_each_kind(Body body) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const Numbers numbers : {Numbers::small_integers, Numbers::random}) body(dtype, numbers);
  }
}

// What comes back by stmatrix, which GPUs before 9.0 do not have.
void leave_out_stmatrix(std::vector<float>& outputs) {
  outputs.erase(outputs.begin() + kStmatrixBegin, outputs.begin() + kStmatrixEnd);
}

TEST(Conformance, TensorCoreLoadsAndProducts) {
  NEEDS_GPU(80);
  for_each_kind([](DType dtype, Numbers numbers) {
    for (const bool transposed : {false, true}) {
      for (const unsigned bytes : {16u, 6u, 0u}) {
        const auto run = [&](const Device& device) {
          const Tensor x = halves(dtype, kTensorCoreInputs, numbers, 1, device);
          const Tensor y = zeros({kTensorCoreOutputs}, {DType::f32, device});
          const auto call = device == kSim ? on_sim::run_tensor_core : on_cuda::run_tensor_core;
          call(dtype, transposed, x.data(), y.as<float>(), bytes, current_stream(device));
          std::vector<float> outputs = to_vector<float>(y);
          if (!has_gpu(90)) leave_out_stmatrix(outputs);
          return outputs;
        };
        compare(run, sum_bound(numbers, 16),
                fmt::format("{} transposed={} bytes={}", dtype, transposed, bytes));
      }
    }
  });
}

TEST(Conformance, Wgmma) {
  NEEDS_GPU(90);
  for_each_kind([](DType dtype, Numbers numbers) {
    for (const int n : {8, 64, 96, 128, 256}) {
      const auto run = [&](const Device& device) {
        const Tensor x = halves(dtype, kWgmmaInputs, numbers, 2, device);
        const Tensor y = zeros({wgmma_outputs(n)}, {DType::f32, device});
        const auto call = device == kSim ? on_sim::run_wgmma : on_cuda::run_wgmma;
        call(dtype, n, x.data(), y.as<float>(), current_stream(device));
        return to_vector<float>(y);
      };
      compare(run, sum_bound(numbers, 80), fmt::format("wgmma {} n={}", dtype, n));
    }
  });
}

TEST(Conformance, CopyEngineBarriersAndClusters) {
  NEEDS_GPU(90);
  for (const ProductShape s : {ProductShape{1, 8, 8}, {256, 128, 64}, {300, 264, 200}}) {
    for (const auto& [dtype, width] :
         {std::pair{DType::f16, 64}, {DType::f16, 128}, {DType::bf16, 256}}) {
      const auto run = [&, dtype = dtype, width = width](const Device& device) {
        const Tensor a = halves(dtype, s.m * s.k, Numbers::small_integers, 3, device);
        const Tensor b = halves(dtype, s.n * s.k, Numbers::small_integers, 4, device);
        const Tensor c = zeros({s.m * s.n}, {dtype, device});
        const auto call = device == kSim ? on_sim::run_pipelines : on_cuda::run_pipelines;
        call(dtype, width, a.data(), b.data(), c.data(), s, current_stream(device));
        std::vector<std::uint16_t> stored(static_cast<std::size_t>(c.count()));
        to_host(c, stored.data());
        return std::vector<float>(stored.begin(), stored.end());  // bits: they must be the same
      };
      compare(run, 0, fmt::format("pipeline {} m={} n={} k={}", dtype, s.m, s.n, s.k));
    }
  }
}

// Corners and steps that differ between W and H, columns over the ends of lines and images and past
// the last one, channels past the last one.
constexpr Im2colShape kColumns[] = {
    {64, 7, 5, 3, {-1, -1}, {-1, -1}, {1, 1}, {0, 3, 2, 0}, {0, 0}, 128},
    {64, 7, 5, 3, {-1, -1}, {-1, -1}, {1, 1}, {0, -1, -1, 1}, {2, 1}, 64},
    {72, 9, 6, 2, {-2, -1}, {0, -2}, {2, 3}, {64, 0, 2, 0}, {3, 2}, 40},
    {24, 8, 9, 4, {-3, 0}, {-3, 0}, {2, 2}, {8, 1, 4, 1}, {6, 0}, 96},
    {136, 6, 5, 2, {1, 2}, {-1, 3}, {1, 1}, {128, 3, 2, 0}, {0, 1}, 64},
    {16, 3, 2, 9, {-128, -5}, {-126, 127}, {1, 8}, {0, -128, 3, 2}, {128, 5}, 128},
};

std::vector<float> column(const Im2colShape& s, const Device& device) {
  const Tensor x = halves(DType::f16, s.C * s.W * s.H * s.N, Numbers::random, 5, device);
  const Tensor y = zeros({kIm2colOutputs}, {DType::f32, device});
  const auto call = device == kSim ? on_sim::run_im2col : on_cuda::run_im2col;
  call(x.data(), y.as<float>(), s, current_stream(device));
  return to_vector<float>(y);
}

TEST(Conformance, Im2colLoads) {
  NEEDS_GPU(90);
  int number = 0;
  for (const Im2colShape& s : kColumns) {
    compare([&](const Device& device) { return column(s, device); }, 0,
            fmt::format("im2col column {}", number++));
  }
}

// What can be looked at without a GPU: that the meanings' kernels run, and give something.
TEST(Conformance, TheMeaningsRunOnTheSimulator) {
  const Tensor x = halves(DType::f16, kWgmmaInputs, Numbers::small_integers, 2, kSim);
  const Tensor y = zeros({wgmma_outputs(8)}, {DType::f32, kSim});
  on_sim::run_wgmma(DType::f16, 8, x.data(), y.as<float>(), current_stream(kSim));
  const std::vector<float> values = to_vector<float>(y);
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  EXPECT_GT(largest, 8);
  EXPECT_EQ(values[64 * 8], 1);
  const Tensor z = zeros({kTensorCoreOutputs}, {DType::f32, kSim});
  on_sim::run_tensor_core(DType::f16, true, x.data(), z.as<float>(), 16, current_stream(kSim));
  EXPECT_GT(std::abs(to_vector<float>(z)[1]) + std::abs(to_vector<float>(z)[7]), 0);
  for (const Im2colShape& s : kColumns) {
    const std::vector<float> found = column(s, kSim);
    EXPECT_TRUE(std::any_of(found.begin(), found.end(), [](float v) { return v != 0; }));
  }
}

}  // namespace
}  // namespace convoy
