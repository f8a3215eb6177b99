// SPDX-License-Identifier: MIT
// mma.m16n8k16 against a triple loop; fragments are dealt out as the ISA's formulas say.
#include "kernels/gpu/ptx/mma.cuh"

#include <cmath>
#include <random>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Matrices {
  DeviceVector<float> a = DeviceVector<float>(16 * 16);
  DeviceVector<float> b = DeviceVector<float>(16 * 8);
  DeviceVector<float> d = DeviceVector<float>(16 * 8);
};

// "row = groupID for a0, a1, a4, a5, groupID + 8 otherwise; col = threadID_in_group * 2 + (i & 1),
// + 8 for i >= 4", and so on: PTX ISA, matrix fragments for mma.m16n8k16.
int place_in_a(int lane, int i) {
  const int row = lane / 4 + ((i == 2 || i == 3 || i == 6 || i == 7) ? 8 : 0);
  return 16 * row + lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0);
}
int place_in_b(int lane, int i) {
  return 8 * (lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0)) + lane / 4;
}
int place_in_d(int lane, int i) {
  return 8 * (lane / 4 + (i >= 2 ? 8 : 0)) + lane % 4 * 2 + (i & 1);
}

template <class T>
__global__ void multiply(const T* a, const T* b, float* d, int times) {
  unsigned fragment_a[4], fragment_b[2];
  float sums[4];
  for (int i = 0; i < 4; ++i) {
    fragment_a[i] = a[8 * threadIdx.x + 2 * i].bits | a[8 * threadIdx.x + 2 * i + 1].bits << 16;
    sums[i] = d[4 * threadIdx.x + i];
  }
  for (int i = 0; i < 2; ++i) {
    fragment_b[i] = b[4 * threadIdx.x + 2 * i].bits | b[4 * threadIdx.x + 2 * i + 1].bits << 16;
  }
  for (int t = 0; t < times; ++t) mma_m16n8k16<T>(sums, fragment_a, fragment_b);
  for (int i = 0; i < 4; ++i) d[4 * threadIdx.x + i] = sums[i];
}

template <class T>
DeviceVector<float> run_multiply(const Matrices& m, int times) {
  DeviceVector<T> a(256), b(128);
  DeviceVector<float> d(128), result(128);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 8; ++i) a[8 * lane + i] = from_float<T>(m.a[place_in_a(lane, i)]);
    for (int i = 0; i < 4; ++i) b[4 * lane + i] = from_float<T>(m.b[place_in_b(lane, i)]);
    for (int i = 0; i < 4; ++i) d[4 * lane + i] = m.d[place_in_d(lane, i)];
  }
  launch({.grid = 1, .block = 32, .stream = kSimStream}, multiply<T>, a.data(), b.data(), d.data(),
         times);
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) result[place_in_d(lane, i)] = d[4 * lane + i];
  }
  return result;
}

template <class T>
void check_integers() {
  std::mt19937 random(1);
  Matrices m;
  for (float& x : m.a) x = static_cast<float>(random() % 17) - 8;
  for (float& x : m.b) x = static_cast<float>(random() % 17) - 8;
  for (float& x : m.d) x = static_cast<float>(random() % 1000);
  over_schedules([&] {
    const DeviceVector<float> found = run_multiply<T>(m, 3);
    for (int i = 0; i < 16; ++i) {
      for (int j = 0; j < 8; ++j) {
        int sum = static_cast<int>(m.d[8 * i + j]);
        for (int k = 0; k < 16; ++k) sum += 3 * static_cast<int>(m.a[16 * i + k] * m.b[8 * k + j]);
        ASSERT_EQ(found[8 * i + j], static_cast<float>(sum)) << i << "," << j;
      }
    }
  });
}

TEST(Mma, SmallIntegersAreExact) {
  check_integers<F16>();
  check_integers<BF16>();
}

template <class T>
void check_random() {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  Matrices m;
  for (float& x : m.a) x = to_float(from_float<T>(normal(random)));
  for (float& x : m.b) x = to_float(from_float<T>(normal(random)));
  for (float& x : m.d) x = normal(random);
  const DeviceVector<float> found = run_multiply<T>(m, 1);
  for (int i = 0; i < 128; ++i) {
    double sum = m.d[i], scale = std::fabs(m.d[i]);
    for (int k = 0; k < 16; ++k) {
      const double product = double{m.a[16 * (i / 8) + k]} * m.b[8 * k + i % 8];
      sum += product;
      scale += std::fabs(product);
    }
    // 17 terms in f32, in any order.
    ASSERT_NEAR(found[i], sum, 16 * 0x1p-24 * scale);
  }
}

TEST(Mma, RandomNumbersAreWithinTheBoundOfTheSum) {
  check_random<F16>();
  check_random<BF16>();
}

LINE_HERE(kHalf)
__global__ void multiply_by_half_a_warp() {
  unsigned a[4] = {}, b[2] = {};
  float d[4] = {};
  if (threadIdx.x < 16) mma_m16n8k16<F16>(d, a, b);
}

TEST(Mma, ADivergentWarpIsNamed) {
  EXPECT_FAULT(
      [] { launch({.grid = 1, .block = 32, .stream = kSimStream}, multiply_by_half_a_warp); },
      "mma", kHalf + 4);
}

}  // namespace
}  // namespace convoy::on_sim
