// SPDX-License-Identifier: MIT
// wgmma against a triple loop: every N, type and layout, and what happens to who does not wait.
#include "kernels/gpu/ptx/wgmma.cuh"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/gpu/ptx/fence.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

constexpr int kM = 64, kK = 64;

// Where element (mn, k) of a matrix with 64 columns of k lies, in bytes. Swizzled: as TMA writes
// rows of 128 bytes, unit u of row r at u xor (r mod 8). Plain: 8x8 blocks of 128 bytes, those of
// one column of blocks behind each other (`tall`) or those of one row.
struct Layout {
  Major major;
  Swizzle swizzle;
  bool tall;

  int blocks(int extent) const { return extent / 8; }
  int place(int mn, int k, int extent) const {
    const int row = major == Major::k ? mn : k, column = major == Major::k ? k : mn;
    if (swizzle == Swizzle::bytes128) {
      const int box = column / 64 * kK * 128;  // with k inside there is one box
      return box + row * 128 + ((column % 64 / 8) ^ (row % 8)) * 16 + column % 8 * 2;
    }
    return (mn / 8) * next_mn() + (k / 8) * next_k(extent) + row % 8 * 16 + column % 8 * 2;
  }
  int next_mn() const { return tall ? 128 : 128 * (kK / 8); }
  int next_k(int extent) const { return tall ? 128 * blocks(extent) : 128; }

  unsigned leading(int extent) const {
    if (swizzle == Swizzle::none) return static_cast<unsigned>(next_k(extent));
    return major == Major::k ? 16 : kK * 128;
  }
  unsigned stride() const {
    return swizzle == Swizzle::bytes128 ? 1024 : static_cast<unsigned>(next_mn());
  }
  // From one 16 of k to the next.
  unsigned step(int extent) const {
    if (swizzle == Swizzle::none) return 2 * static_cast<unsigned>(next_k(extent));
    return major == Major::k ? 32 : 16 * 128;
  }
};

struct Operands {
  alignas(1024) unsigned char a[kM * kK * 2];
  alignas(1024) unsigned char b[256 * kK * 2];
};

struct Descriptors {
  std::uint64_t a, b;  // without addresses
  unsigned step_a, step_b;
};

// d = a b, or d += a b, over four steps of 16. A from shared memory, or its rows from x.
template <class T, int kN, Major kMajorA, Major kMajorB, bool kRegisters>
__global__ void __launch_bounds__(128) multiply(const unsigned char* a, const unsigned char* b,
                                                const T* x, Descriptors how, float* y, bool add) {
  auto& s = shared<Operands>();
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < kM * kK * 2; i += 128) s.a[i] = a[i];
  for (int i = thread; i < kN * kK * 2; i += 128) s.b[i] = b[i];
  fence_proxy_async();
  __syncthreads();
  const int row = thread / 32 * 16 + thread % 32 / 4, pair = 2 * (thread % 4);
  const auto place = [&](int i) {
    return (row + (i % 4 >= 2 ? 8 : 0)) * kN + i / 4 * 8 + pair + i % 2;
  };
  float d[kN / 2];
  for (int i = 0; i < kN / 2; ++i) d[i] = y[place(i)];
  for (int k = 0; k < kK / 16; ++k) {
    unsigned registers[4];
    for (int i = 0; i < 4; ++i) {
      const T* at = x + (row + 8 * (i % 2)) * kK + 16 * k + pair + 8 * (i / 2);
      registers[i] = at[0].bits | unsigned{at[1].bits} << 16;
    }
    wgmma_fence(d);
    const std::uint64_t of_a = how.a + ((shared_address(s.a) + k * how.step_a) >> 4);
    const std::uint64_t of_b = how.b + ((shared_address(s.b) + k * how.step_b) >> 4);
    if constexpr (kRegisters) {
      wgmma<T, kN, kMajorB>(d, registers, of_b, add || k > 0);
    } else {
      wgmma<T, kN, kMajorA, kMajorB>(d, of_a, of_b, add || k > 0);
    }
    wgmma_commit();
  }
  wgmma_wait<0>(d);
  for (int i = 0; i < kN / 2; ++i) y[place(i)] = d[i];
}

struct Numbers {
  DeviceVector<float> a = DeviceVector<float>(kM * kK), b = DeviceVector<float>(256 * kK);
  DeviceVector<float> d = DeviceVector<float>(kM * 256);
};

template <class T>
DeviceVector<unsigned char> laid_out(const DeviceVector<float>& values, int extent, Layout layout) {
  DeviceVector<unsigned char> bytes(static_cast<std::size_t>(extent) * kK * 2);
  for (int mn = 0; mn < extent; ++mn) {
    for (int k = 0; k < kK; ++k) {
      const T half = from_float<T>(values[mn * kK + k]);
      std::memcpy(&bytes[layout.place(mn, k, extent)], &half, 2);
    }
  }
  return bytes;
}

template <class T, int kN, Major kMajorA, Major kMajorB, bool kRegisters>
void check(const Numbers& numbers, Layout of_a, Layout of_b, bool exact) {
  of_a.major = kMajorA;
  of_b.major = kMajorB;
  const auto a = laid_out<T>(numbers.a, kM, of_a), b = laid_out<T>(numbers.b, kN, of_b);
  DeviceVector<T> x(kM * kK);
  for (int i = 0; i < kM * kK; ++i) x[i] = from_float<T>(numbers.a[i]);
  const Descriptors how{descriptor_bits(0, of_a.leading(kM), of_a.stride(), of_a.swizzle),
                        descriptor_bits(0, of_b.leading(kN), of_b.stride(), of_b.swizzle),
                        of_a.step(kM), of_b.step(kN)};
  for (const bool add : {false, true}) {
    DeviceVector<float> y(numbers.d.begin(), numbers.d.begin() + kM * kN);
    launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Operands), .stream = kSimStream},
           multiply<T, kN, kMajorA, kMajorB, kRegisters>, a.data(), b.data(), x.data(), how,
           y.data(), add);
    for (int m = 0; m < kM; ++m) {
      for (int n = 0; n < kN; ++n) {
        double sum = add ? numbers.d[m * kN + n] : 0, scale = std::fabs(sum);
        for (int k = 0; k < kK; ++k) {
          const double product = double{numbers.a[m * kK + k]} * numbers.b[n * kK + k];
          sum += product;
          scale += std::fabs(product);
        }
        const double bound = exact ? 0 : kK * 0x1p-24 * scale;
        ASSERT_NEAR(y[m * kN + n], sum, bound) << "N " << kN << " at " << m << "," << n;
      }
    }
  }
}

template <class T>
Numbers random_numbers(bool integers) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  Numbers numbers;
  for (auto* values : {&numbers.a, &numbers.b, &numbers.d}) {
    for (float& x : *values) {
      x = integers ? static_cast<float>(random() % 17) - 8
                   : to_float(from_float<T>(normal(random)));
    }
  }
  return numbers;
}

constexpr Layout kSwizzled{Major::k, Swizzle::bytes128, false};
constexpr Layout kTall{Major::k, Swizzle::none, true}, kWide{Major::k, Swizzle::none, false};

template <class T, int kN>
void check_all(bool integers) {
  const Numbers numbers = random_numbers<T>(integers);
  // What is exact for integers is a matter of layout; rounding is not.
  const std::vector<Layout> layouts =
      integers ? std::vector<Layout>{kSwizzled, kTall, kWide} : std::vector<Layout>{kSwizzled};
  for (const Layout& a : layouts) {
    for (const Layout& b : layouts) {
      check<T, kN, Major::k, Major::k, false>(numbers, a, b, integers);
      check<T, kN, Major::mn, Major::k, false>(numbers, a, b, integers);
      // A swizzled row of n has 64 elements.
      if (b.swizzle == Swizzle::none || kN % 64 == 0) {
        check<T, kN, Major::k, Major::mn, false>(numbers, a, b, integers);
        check<T, kN, Major::mn, Major::mn, false>(numbers, a, b, integers);
        check<T, kN, Major::k, Major::mn, true>(numbers, a, b, integers);
      }
      check<T, kN, Major::k, Major::k, true>(numbers, a, b, integers);
    }
  }
}

template <int kN>
void check_shape() {
  check_all<F16, kN>(true);
  check_all<BF16, kN>(true);
  check_all<F16, kN>(false);
  check_all<BF16, kN>(false);
}

TEST(Wgmma, EveryShapeTypeAndLayout) {
  check_shape<8>();
  check_shape<16>();
  check_shape<32>();
  check_shape<64>();
  check_shape<96>();
  check_shape<128>();
  check_shape<192>();
  check_shape<256>();
}

TEST(Wgmma, EverySchedule) {
  const Numbers numbers = random_numbers<F16>(true);
  over_schedules([&] {
    check<F16, 32, Major::k, Major::k, false>(numbers, kSwizzled, kSwizzled, true);
    check<BF16, 64, Major::mn, Major::mn, true>(numbers, kWide, kSwizzled, true);
  });
}

// ---- planted faults ----

enum class Fault {
  none,
  no_wait,
  one_group_early,
  no_commit,
  no_fence,
  no_proxy_fence,
  touched,
  overwritten,
  other_descriptor,
  misplaced,
  narrow,
  half,
};

struct Small {
  alignas(1024) F16 a[64][64];
  alignas(1024) F16 b[8][64];
};

LINE_HERE(kSmall)
template <Fault kFault>
__global__ void __launch_bounds__(128) multiply_wrongly(float* y) {
  auto& s = shared<Small>();
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < 64 * 64; i += 128) s.a[i / 64][i % 64] = from_float<F16>(1.0f);
  for (int i = thread; i < 8 * 64; i += 128) s.b[i / 64][i % 64] = from_float<F16>(2.0f);
  if (kFault != Fault::no_proxy_fence) fence_proxy_async();
  __syncthreads();
  if (kFault == Fault::half && thread >= 96) return;
  std::uint64_t a = swizzled_descriptor<Major::k>(kFault == Fault::misplaced ? s.a[3] : s.a[0]);
  if (kFault == Fault::other_descriptor && thread >= 64) a += 2;
  const std::uint64_t b = swizzled_descriptor<Major::k>(s.b);
  constexpr Major kB = kFault == Fault::narrow ? Major::mn : Major::k;
  float d[4];
  if (kFault != Fault::no_fence) wgmma_fence(d);
  wgmma<F16, 8, Major::k, kB>(d, a, b, false);
  if (kFault != Fault::no_commit) wgmma_commit();
  if (kFault == Fault::touched) d[0] = 1;
  if (kFault == Fault::overwritten) {
    __syncthreads();
    s.b[0][0] = from_float<F16>(7.0f);
  }
  if (kFault != Fault::no_wait) wgmma_wait<kFault == Fault::one_group_early ? 1 : 0>(d);
  for (int i = 0; i < 4; ++i) y[4 * thread + i] = d[i];
}
constexpr int kIssue = kSmall + 16, kWait = kSmall + 23;

template <Fault kFault>
DeviceVector<float> multiply_with() {
  DeviceVector<float> y(512);
  launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Small), .stream = kSimStream},
         multiply_wrongly<kFault>, y.data());
  return y;
}

TEST(Wgmma, TheFaultFreeVersionOverFiftySeeds) {
  over_schedules([] { ASSERT_EQ(multiply_with<Fault::none>(), DeviceVector<float>(512, 32.0f)); },
                 50);
}

template <Fault kFault>
void expect_poison_and_exit() {
  over_schedules([] {
    DeviceVector<float> y(512, 0.0f);
    const std::string error = error_of([&] {
      launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Small), .stream = kSimStream},
             multiply_wrongly<kFault>, y.data());
    });
    EXPECT_TRUE(contains(error, "wgmma: still in flight when its thread exits")) << error;
    EXPECT_TRUE(contains(error, ".cpp:" + std::to_string(kIssue))) << error;
    for (const float value : y) EXPECT_TRUE(value == 0 || std::isnan(value));  // 0: not reached
  });
}

TEST(Wgmma, AMissingWaitGivesPoison) {
  expect_poison_and_exit<Fault::no_wait>();
  expect_poison_and_exit<Fault::one_group_early>();
  expect_poison_and_exit<Fault::no_commit>();
}

TEST(Wgmma, MisuseIsNamed) {
  EXPECT_FAULT(multiply_with<Fault::no_fence>, "expects a wgmma.fence behind the last use", kIssue);
  EXPECT_FAULT(multiply_with<Fault::no_proxy_fence>, "written without a fence.proxy.async", kIssue);
  EXPECT_FAULT(multiply_with<Fault::touched>, "accumulators were written while in flight", kWait);
  EXPECT_FAULT(multiply_with<Fault::other_descriptor>, "expects the same descriptors", kIssue);
  EXPECT_FAULT(multiply_with<Fault::misplaced>, "expects a swizzled matrix at a multiple of 1024",
               kIssue);
  EXPECT_FAULT(multiply_with<Fault::narrow>, "expects whole rows of 64 of a swizzled matrix",
               kIssue);
  EXPECT_FAULT(multiply_with<Fault::half>, "wait for wgmma (96 of 128 arrived)", kIssue);
}

TEST(Wgmma, AnOperandThatIsWrittenInFlightIsNamed) {
  over_schedules([] {
    if (sim::options().async != sim::Async::late) return;
    const std::string error = error_of(multiply_with<Fault::overwritten>);
    EXPECT_TRUE(contains(error, sim::access::kEnabled ? "race: " : "is written while it is read"))
        << error;
    EXPECT_TRUE(contains(error, ".cpp:" + std::to_string(kIssue))) << error;
  });
}

__device__ void fill_small(Small& s) {
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < 64 * 64; i += 128) s.a[i / 64][i % 64] = from_float<F16>(1.0f);
  for (int i = thread; i < 8 * 64; i += 128) s.b[i / 64][i % 64] = from_float<F16>(2.0f);
  fence_proxy_async();
  __syncthreads();
}

LINE_HERE(kTwice)
__global__ void multiply_twice_with_one_fence() {
  auto& s = shared<Small>();
  fill_small(s);
  const std::uint64_t a = swizzled_descriptor<Major::k>(s.a);
  const std::uint64_t b = swizzled_descriptor<Major::k>(s.b);
  float d[4];
  wgmma_fence(d);
  wgmma<F16, 8>(d, a, b, false);
  wgmma<F16, 8>(d, a + kNextK16<Major::k>, b + kNextK16<Major::k>, true);  // in flight: no fence
  wgmma_commit();
  wgmma_wait<0>(d);
  d[0] *= 2;
  wgmma<F16, 8>(d, a, b, true);
  wgmma_commit();
  wgmma_wait<0>(d);
}

TEST(Wgmma, RegistersThatWereUsedNeedAnotherFence) {
  EXPECT_FAULT(
      [] {
        launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Small), .stream = kSimStream},
               multiply_twice_with_one_fence);
      },
      "expects a wgmma.fence behind the last use", kTwice + 13);
}

// Two products in two groups: after a wait for all but one the first is there, the other is not.
__global__ void look_between(float* y) {
  auto& s = shared<Small>();
  fill_small(s);
  const std::uint64_t a = swizzled_descriptor<Major::k>(s.a);
  const std::uint64_t b = swizzled_descriptor<Major::k>(s.b);
  float first[4], second[4];
  wgmma_fence(first);
  wgmma_fence(second);
  wgmma<F16, 8>(first, a, b, false);
  wgmma_commit();
  wgmma<F16, 8>(second, a, b, false);
  wgmma_commit();
  wgmma_wait<1>(first);
  y[2 * threadIdx.x] = first[3] + (std::isnan(second[3]) ? 0.0f : 1000.0f);
  wgmma_wait<0>(second);
  y[2 * threadIdx.x + 1] = second[3];
}

TEST(Wgmma, AWaitGivesBackTheAccumulatorsOfItsGroups) {
  over_schedules([] {
    DeviceVector<float> y(256);
    launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Small), .stream = kSimStream},
           look_between, y.data());
    EXPECT_EQ(y, DeviceVector<float>(256, 32.0f));
  });
}

}  // namespace
}  // namespace convoy::on_sim
