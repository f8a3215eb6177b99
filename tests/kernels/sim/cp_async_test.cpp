// SPDX-License-Identifier: MIT
// cp.async: zero fill, groups, and what happens when somebody does not wait.
#include "kernels/gpu/ptx/cp_async.cuh"

#include <cmath>
#include <numeric>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Bytes {
  alignas(16) unsigned char values[64 * 16];
};

template <int kBytes>
__global__ void copy_ragged(const unsigned char* x, int count, unsigned char* y) {
  auto& s = shared<Bytes>();
  const int begin = static_cast<int>(threadIdx.x) * kBytes;
  const int left = max(0, min(kBytes, count - begin));
  cp_async<kBytes>(&s.values[begin], left > 0 ? x + begin : x, static_cast<unsigned>(left));
  cp_async_wait_all();
  for (int i = 0; i < kBytes; ++i) y[begin + i] = s.values[begin + i];
}

template <int kBytes>
void check_ragged() {
  over_schedules([] {
    for (const int count : {0, 1, 15, 17, 32 * kBytes - 3, 32 * kBytes}) {
      DeviceVector<unsigned char> x(32 * 16), y(32 * kBytes, 0xee);
      std::iota(std::begin(x), std::end(x), static_cast<unsigned char>(1));
      launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Bytes), .stream = kSimStream},
             copy_ragged<kBytes>, x.data(), count, y.data());
      for (int i = 0; i < 32 * kBytes; ++i)
        ASSERT_EQ(y[i], i < count ? x[i] : 0) << count << " " << i;
    }
  });
}

TEST(CpAsync, FillsWithZerosBehindTheSource) {
  check_ragged<4>();
  check_ragged<8>();
  check_ragged<16>();
}

struct Stages {
  int values[4][32];
};

// Four copies in three groups, of one, none and two; what is there after each wait.
__global__ void count_down(const int* x, int* seen) {
  auto& s = shared<Stages>();
  const unsigned lane = threadIdx.x;
  cp_async<4>(&s.values[0][lane], x + lane);
  cp_async_commit();
  cp_async_commit();
  cp_async<4>(&s.values[1][lane], x + 32 + lane);
  cp_async<4>(&s.values[2][lane], x + 64 + lane);
  cp_async_commit();
  cp_async<4>(&s.values[3][lane], x + 96 + lane);
  const auto look = [&](int when) {
    for (int i = 0; i < 4; ++i) seen[128 * when + 32 * i + lane] = s.values[i][lane];
  };
  look(0);
  cp_async_wait<2>();
  look(1);
  cp_async_wait<1>();
  look(2);
  cp_async_wait<0>();
  look(3);
  cp_async_wait_all();
  look(4);
}

TEST(CpAsync, AWaitCompletesAllButTheNewestGroups) {
  DeviceVector<int> x(128);
  std::iota(x.begin(), x.end(), 1);
  over_schedules([&] {
    DeviceVector<int> seen(5 * 128);
    const auto run = [&] {
      launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Stages), .stream = kSimStream},
             count_down, x.data(), seen.data());
    };
    if (sim::access::kEnabled) {  // it looks too early on purpose
      EXPECT_TRUE(contains(error_of(run), "which the cp.async of thread"));
      return;
    }
    run();
    constexpr int kComplete[] = {0, 1, 1, 3, 4};  // so many of the four copies must be there
    for (int when = 0; when < 5; ++when) {
      for (int i = 0; i < 128; ++i) {
        const int found = seen[128 * when + i];
        const bool must = i / 32 < kComplete[when];
        const bool may = !must && sim::options().async != sim::Async::eager;
        const bool late = !must && sim::options().async == sim::Async::late;
        ASSERT_TRUE((found == x[i] && !late) || (found == -1 && may)) << when << " " << i;
      }
    }
  });
}

enum class Fault { none, no_wait, one_group_early, no_barrier };

struct Ring {
  float tile[2][64];
};

// Sums of columns, two stages deep.
template <Fault kFault>
__global__ void sum_rows(const float* x, float* y, int rows) {
  auto& s = shared<Ring>();
  const int i = static_cast<int>(threadIdx.x), mirror = 63 - i;
  const auto fetch = [&](int row) {
    if (row < rows) cp_async<4>(&s.tile[row % 2][i], x + 64 * row + i);
    cp_async_commit();
  };
  float sum = 0;
  fetch(0);
  for (int row = 0; row < rows; ++row) {
    fetch(row + 1);
    if (kFault != Fault::no_wait) cp_async_wait<kFault == Fault::one_group_early ? 2 : 1>();
    if (kFault != Fault::no_barrier) __syncthreads();
    sum += s.tile[row % 2][mirror];
    __syncthreads();
  }
  y[mirror] = sum;
}

// The number of columns that are wrong.
template <Fault kFault>
int wrong_sums() {
  constexpr int kRows = 5;
  DeviceVector<float> x(64 * kRows), y(64, 0.0f);
  std::iota(x.begin(), x.end(), 1.0f);
  launch({.grid = 1, .block = 64, .shared_bytes = sizeof(Ring), .stream = kSimStream},
         sum_rows<kFault>, x.data(), y.data(), kRows);
  int wrong = 0;
  for (int i = 0; i < 64; ++i) {
    float sum = 0;
    for (int row = 0; row < kRows; ++row) sum += x[64 * row + i];
    wrong += y[i] != sum;
  }
  return wrong;
}

TEST(CpAsync, PipelinesOverFiftySeeds) {
  over_schedules([] { ASSERT_EQ(wrong_sums<Fault::none>(), 0); }, seeds(50));
}

TEST(CpAsync, AMissingWaitGivesPoison) {
  over_schedules([] {
    if (sim::options().async == sim::Async::eager) return;
    EXPECT_TRUE(shows([] { return wrong_sums<Fault::no_wait>() > 0; }));
    EXPECT_TRUE(shows([] { return wrong_sums<Fault::one_group_early>() > 0; }));
  });
}

TEST(CpAsync, AMissingBarrierGivesPoison) {
  over_schedules([] { EXPECT_TRUE(shows([] { return wrong_sums<Fault::no_barrier>() > 0; })); });
}

LINE_HERE(kMisaligned)
__global__ void copy_misaligned(const unsigned char* x, int to, int from) {
  auto& s = shared<Bytes>();
  cp_async<8>(&s.values[to], x + from);
}

TEST(CpAsync, AMisalignedAddressIsNamed) {
  alignas(16) static unsigned char x[64];
  const auto with = [](int to, int from) {
    launch({.grid = 1, .block = 1, .shared_bytes = sizeof(Bytes), .stream = kSimStream},
           copy_misaligned, x, to, from);
  };
  EXPECT_FAULT([&] { with(4, 0); }, "expects a shared address that is a multiple of 8",
               kMisaligned + 3);
  EXPECT_FAULT([&] { with(0, 4); }, "expects a global address that is a multiple of its bytes",
               kMisaligned + 3);
  EXPECT_FAULT([&] { with(sizeof(Bytes), 0); }, "found an address outside of it", kMisaligned + 3);
}

}  // namespace
}  // namespace convoy::on_sim
