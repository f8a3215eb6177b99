// SPDX-License-Identifier: MIT
// Counted bytes, accesses, sectors and multiply-adds of kernels small enough to count by hand,
// under every schedule.
#include "kernels/sim/traffic.h"

#include "kernels/gpu/flat.cuh"
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/mbarrier.cuh"
#include "kernels/gpu/ptx/mma.cuh"
#include "kernels/gpu/ptx/tma.cuh"
#include "tests/kernels/sim/access_support.h"
#include "tests/kernels/sim/pipeline.cuh"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Counts {
  std::uint64_t read, written, requested_read, requested_written, accesses, requests, sectors;
};

void expect_counts(const sim::Traffic& found, const Counts& expected) {
  EXPECT_EQ(found.read, expected.read);
  EXPECT_EQ(found.written, expected.written);
  EXPECT_EQ(found.requested_read, expected.requested_read);
  EXPECT_EQ(found.requested_written, expected.requested_written);
  EXPECT_EQ(found.accesses, expected.accesses);
  EXPECT_EQ(found.requests, expected.requests);
  EXPECT_EQ(found.sectors, expected.sectors);
}

// Runs a kernel in two blocks of kThreads threads, that is in four warps.
template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.grid = 2, .block = kThreads, .shared_bytes = 1024, .stream = kSimStream}, kernel,
         arguments...);
}

// Body's launches have these counts in every order.
template <class Body>
void expect_total(Body body, const Counts& expected) {
  over_schedules([&] {
    const sim::TrafficLog log;
    body();
    expect_counts(log.total(), expected);
  });
}

__device__ int thread_of_grid() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

__global__ void copy_each(const float* x, float* y, int stride) {
  const int i = thread_of_grid();
  y[i] = x[i * stride];
}

TEST(Traffic, AThreadPerElementMovesEachByteOnce) {
  DeviceMemory<float> x(2 * kThreads), y(2 * kThreads);
  x.write_zeros();
  expect_total([&] { run(copy_each, x.data(), y.data(), 1); }, {512, 512, 512, 512, 256, 8, 8 * 4});
}

TEST(Traffic, AStrideTouchesASectorForEveryElement) {
  DeviceMemory<float> x(2 * kThreads * 8), y(2 * kThreads);
  x.write_zeros();
  expect_total([&] { run(copy_each, x.data(), y.data(), 8); },
               {512, 512, 512, 512, 256, 8, 4 * 32 + 4 * 4});
}

__global__ void copy_packs(const F16* x, F16* y) {
  const int first = 8 * thread_of_grid();
  store_lanes(y + first, load_lanes<8>(x + first));
}

TEST(Traffic, APackIsOneAccess) {
  DeviceMemory<F16> x(2 * kThreads * 8), y(2 * kThreads * 8);
  x.write_zeros();
  expect_total([&] { run(copy_packs, x.data(), y.data()); },
               {2048, 2048, 2048, 2048, 256, 8, 8 * 16});
  const sim::TrafficLog log;
  run(copy_packs, x.data(), y.data());
  EXPECT_EQ(log.total().mean_width(), 16);
}

// Every thread reads all of eight numbers, of which neighbours read the same.
__global__ void sum_eight(const float* x, float* y) {
  float sum = 0;
  for (int i = 0; i < 8; ++i) sum += x[i];
  y[thread_of_grid()] = sum;
}

TEST(Traffic, WhatAllReadCountsOnceInTheFootprint) {
  DeviceMemory<float> x(8), y(2 * kThreads);
  x.write_zeros();
  expect_total([&] { run(sum_eight, x.data(), y.data()); },
               {32, 512, 128 * 32, 512, 128 * 9, 4 * 9, 4 * (8 + 4)});
}

__global__ void add_in_place(float* x) { x[thread_of_grid()] += 1; }

TEST(Traffic, WhatIsReadAndWrittenCountsForBoth) {
  DeviceMemory<float> x(2 * kThreads);
  x.write_zeros();
  expect_total([&] { run(add_in_place, x.data()); }, {512, 512, 512, 512, 256, 8, 8 * 4});
}

TEST(Traffic, EachLaunchReadsForItself) {
  DeviceMemory<float> x(2 * kThreads), y(2 * kThreads);
  x.write_zeros();
  over_schedules([&] {
    const sim::TrafficLog log;
    run(copy_each, x.data(), y.data(), 1);
    run(add_in_place, y.data());
    run(copy_each, x.data(), y.data(), 1);
    const std::vector<sim::Traffic> launches = log.launches(), kernels = log.by_kernel();
    ASSERT_EQ(launches.size(), 3u);
    EXPECT_EQ(launches[1].kernel, "add_in_place");
    ASSERT_EQ(kernels.size(), 2u);
    EXPECT_EQ(kernels[0].kernel, "copy_each");
    EXPECT_EQ(kernels[0].launches, 2u);
    expect_counts(kernels[0], {1024, 1024, 1024, 1024, 512, 16, 64});
    expect_counts(log.total(), {1536, 1536, 1536, 1536, 768, 24, 96});
    EXPECT_EQ(log.total().kernel, "");
  });
}

TEST(Traffic, OnlyWhatRunsWhileALogLives) {
  DeviceMemory<float> x(2 * kThreads);
  x.write_zeros();
  run(add_in_place, x.data());
  {
    const sim::TrafficLog log;
    run(add_in_place, x.data());
    EXPECT_TRUE(contains(error_of([] { const sim::TrafficLog another; }),
                         "traffic: expects one log at a time, found another"));
  }
  run(add_in_place, x.data());
  const sim::TrafficLog log;
  EXPECT_TRUE(log.launches().empty());
  EXPECT_EQ(log.total().accesses, 0u);
}

__global__ void count_all(int* count) { atomicAdd(count, 1); }

TEST(Traffic, AnAtomicReadsAndWrites) {
  DeviceMemory<int> count(1);
  count.write_zeros();
  expect_total([&] { run(count_all, count.data()); }, {4, 4, 512, 512, 128, 4, 4});
}

TEST(Traffic, RequestsOfOneArray) {
  DeviceMemory<float> x(8), y(2 * kThreads);
  x.write_zeros();
  const sim::TrafficLog log;
  run(sum_eight, x.data(), y.data());
  run(add_in_place, y.data());
  const sim::Traffic of_x = log.requests_in(x.data(), 32), of_y = log.requests_in(y.data(), 512);
  EXPECT_EQ(of_x.requested_read, 128u * 32);
  EXPECT_EQ(of_x.requested_written, 0u);
  EXPECT_EQ(of_x.accesses, 128u * 8);
  EXPECT_EQ(of_y.requested_read, 512u);
  EXPECT_EQ(of_y.requested_written, 1024u);
  EXPECT_EQ(of_y.mean_width(), 4);
}

// Lanes of one warp that come to a line at different times: a request for each time.
__global__ void read_a_triangle(const float* x, float* y) {
  const int lane = static_cast<int>(threadIdx.x);
  float sum = 0;
  for (int i = 0; i <= lane; ++i) sum += x[32 * i + lane];
  y[lane] = sum;
}

TEST(Traffic, TheNthVisitsOfAWarpAreOneRequest) {
  DeviceMemory<float> x(32 * 32), y(32);
  x.write_zeros();
  // Row i has its lanes i and above: 4 sectors, 3 from the ninth row on, and so on.
  expect_total(
      [&] {
        launch({.grid = 1, .block = 32, .stream = kSimStream}, read_a_triangle, x.data(), y.data());
      },
      {528 * 4, 128, 528 * 4, 128, 528 + 32, 33, 8 * (4 + 3 + 2 + 1) + 4});
}

// ---- copies and products ----

struct alignas(128) Staged {
  float values[256];
};

__global__ void stage(const float* x, float* y) {
  auto& s = shared<Staged>();
  const unsigned i = threadIdx.x;
  cp_async<16>(&s.values[4 * i], x + 4 * i, i % 2 == 0 ? 16 : 4);
  cp_async_wait_all();
  y[i] = s.values[4 * i];
}

TEST(Traffic, CpAsyncReadsItsSourceBytes) {
  DeviceMemory<float> x(256), y(64);
  x.write_zeros();
  expect_total(
      [&] {
        launch({.grid = 1, .block = 64, .shared_bytes = sizeof(Staged), .stream = kSimStream},
               stage, x.data(), y.data());
      },
      {32 * 20, 256, 32 * 20, 256, 128, 64 + 2, 64 + 2 * 4});
}

struct alignas(128) Line {
  float values[64];
  Mbarrier full;
};

__global__ void load_run(const float* x) {
  auto& s = shared<Line>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    mbarrier_arrive_expect(s.full, sizeof(s.values));
    bulk_load(s.values, x, sizeof(s.values), s.full);
  }
  __syncthreads();
  mbarrier_wait(s.full, 0);
}

TEST(Traffic, ABulkCopyIsOneAccess) {
  DeviceMemory<float> x(64);
  x.write_zeros();
  expect_total(
      [&] {
        launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Line), .stream = kSimStream},
               load_run, x.data());
      },
      {256, 0, 256, 0, 1, 1, 8});
}

__global__ void multiply_zeros(int times) {
  const unsigned a[4] = {}, b[2] = {};
  float d[4] = {};
  for (int i = 0; i < times; ++i) mma_m16n8k16<F16>(d, a, b);
}

TEST(Traffic, MmaMultiplies) {
  over_schedules([] {
    const sim::TrafficLog log;
    run(multiply_zeros, 3);
    EXPECT_EQ(log.total().multiply_adds, 4u * 3 * 16 * 8 * 16);
    EXPECT_EQ(log.total().accesses, 0u);
  });
}

// A cluster's tile is the whole product. TMA loads a once, and b once for each of the two blocks;
// wgmma multiplies, and TMA stores.
TEST(Traffic, APipelineOfTmaAndWgmma) {
  constexpr int kM = 256, kN = 64, kK = 64;
  DeviceMemory<F16> a(kM * kK), b(kN * kK), c(kM * kN);
  a.write_zeros();
  b.write_zeros();
  over_schedules([&] {
    const sim::TrafficLog log;
    run_pipeline<PipelineConfig<F16, kN, 2>>(a.data(), b.data(), c.data(), {kM, kN, kK}, 1,
                                             kSimStream);
    const sim::Traffic found = log.total();
    EXPECT_EQ(found.multiply_adds, std::uint64_t{kM} * kN * kK);
    EXPECT_EQ(found.read, 2u * (kM * kK + kN * kK));
    EXPECT_EQ(found.written, 2u * kM * kN);
    EXPECT_EQ(found.requested_read, 2u * (kM * kK + 2 * kN * kK));
    EXPECT_EQ(found.requested_written, found.written);
    EXPECT_EQ(found.sectors, found.requested() / 32);
  });
}

}  // namespace
}  // namespace convoy::on_sim
