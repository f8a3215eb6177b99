// SPDX-License-Identifier: MIT
// Races: conflicting accesses that nothing orders, with the lines of both; and what CUDA's ways of
// ordering them must keep silent.
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/fence.cuh"
#include "kernels/gpu/ptx/wgmma.cuh"
#include "kernels/half.h"
#include "tests/kernels/sim/access_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Tile {
  float values[kThreads];
  float two[2][kThreads];
  int count;
};

template <class... Parameters, class... Arguments>
void run(unsigned grid, void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.grid = grid, .block = kThreads, .shared_bytes = sizeof(Tile), .stream = kSimStream},
         kernel, arguments...);
}
template <class... Parameters, class... Arguments>
void run_resident(unsigned grid, void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.grid = grid,
          .block = kThreads,
          .shared_bytes = sizeof(Tile),
          .stream = kSimStream,
          .resident = true},
         kernel, arguments...);
}

int line, other_line;

// ---- within a block ----

__global__ void reverses(float* y, bool barrier) {
  auto& s = shared<Tile>();
  s.values[threadIdx.x] = 0;
  __syncthreads();
  LINE_BEHIND(line);
  s.values[threadIdx.x] = 1;
  if (barrier) __syncthreads();
  LINE_BEHIND(other_line);
  y[threadIdx.x] = s.values[kThreads - 1 - threadIdx.x];
}

TEST(AccessRaces, ReadAndWriteWithinABlock) {
  DeviceMemory<float> y(kThreads);
  expect_silence([&] { run(1, reverses, y.data(), true); });
  run(1, reverses, y.data(), true);  // the lines are known from here on
  expect_error([&] { run(1, reverses, y.data(), false); },
               {"race: ", "and nothing orders the two", &line, &other_line});
}

__global__ void write_twice(bool barrier) {
  auto& s = shared<Tile>();
  LINE_BEHIND(line);
  s.values[threadIdx.x] = 1;
  if (barrier) __syncthreads();
  LINE_BEHIND(other_line);
  s.values[kThreads - 1 - threadIdx.x] = 2;
}

TEST(AccessRaces, TwoWritesWithinABlock) {
  expect_silence([] { run(1, write_twice, true); });
  expect_error([] { run(1, write_twice, false); },
               {"race: writes 4 bytes at offset", "wrote at", &line, &other_line});
}

// Everybody reads what one of them writes.
__global__ void read_together(float* y, bool barrier) {
  auto& s = shared<Tile>();
  if (threadIdx.x == 0) s.values[0] = 1;
  __syncthreads();
  LINE_BEHIND(line);
  y[threadIdx.x] = s.values[0];
  if (barrier) __syncthreads();
  LINE_BEHIND(other_line);
  if (threadIdx.x == kThreads - 1) s.values[0] = 2;
}

TEST(AccessRaces, ManyReadsAndAWrite) {
  DeviceMemory<float> y(kThreads);
  expect_silence([&] { run(1, read_together, y.data(), true); });
  expect_error([&] { run(1, read_together, y.data(), false); }, {"race: ", &line, &other_line});
}

__global__ void count(int* y, unsigned reader, bool barrier) {
  auto& s = shared<Tile>();
  if (threadIdx.x == 0) s.count = 0;
  __syncthreads();
  atomicAdd(&s.count, 1);
  if (barrier) __syncthreads();
  LINE_BEHIND(line);
  if (threadIdx.x == reader) *y = s.count;
}

TEST(AccessRaces, AtomicsAndAPlainRead) {
  DeviceMemory<int> y(1);
  for (const unsigned reader : {0, kThreads - 1}) {  // before all others, or behind them
    expect_silence([&] { run(1, count, y.data(), reader, true); });
    expect_error([&] { run(1, count, y.data(), reader, false); }, {"race: ", "atomically", &line});
  }
}

// ---- between blocks ----

__global__ void number_elements(int* y, int per_block) {
  LINE_BEHIND(line);
  y[static_cast<int>(blockIdx.x) * per_block + static_cast<int>(threadIdx.x)] = 1;
}

TEST(AccessRaces, TwoWritesBetweenBlocks) {
  DeviceMemory<int> y(3 * kThreads);
  expect_silence([&] { run(3, number_elements, y.data(), kThreads); });
  expect_error([&] { run(3, number_elements, y.data(), kThreads - 1); },
               {"thread (0,0,0) of block (1,0,0): race: writes 4 bytes at byte 252 of",
                "which thread (63,0,0) of block (0,0,0) wrote", &line});
}

__global__ void reads_the_neighbour(int* y, int shift) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  LINE_BEHIND(line);
  y[i] = y[i + shift] + 1;
}

TEST(AccessRaces, ReadAndWriteBetweenBlocks) {
  DeviceMemory<int> y(3 * kThreads);
  y.write_zeros();
  expect_silence([&] { run(2, reads_the_neighbour, y.data(), 0); });
  expect_error([&] { run(2, reads_the_neighbour, y.data(), kThreads); },
               {"race: writes 4 bytes", "of block (1,0,0)", "of block (0,0,0) read", &line});
}

// ---- asynchronous copies ----

__global__ void fetch(const float* x, float* y, bool wait) {
  auto& s = shared<Tile>();
  LINE_BEHIND(line);
  cp_async<4>(&s.values[threadIdx.x], x + threadIdx.x);
  if (wait) cp_async_wait_all();
  LINE_BEHIND(other_line);
  y[threadIdx.x] = s.values[threadIdx.x];
}

TEST(AccessRaces, AMissingCpAsyncWait) {
  DeviceMemory<float> x(kThreads), y(kThreads);
  x.write_zeros();
  expect_silence([&] { run(1, fetch, x.data(), y.data(), true); });
  expect_error(
      [&] { run(1, fetch, x.data(), y.data(), false); },
      {"race: reads 4 bytes at offset", "which the cp.async of thread", &line, &other_line});
}

// ---- the async proxy ----

struct Operands {
  alignas(1024) F16 a[64][64];
  alignas(1024) F16 b[8][64];
};

// The values are the same before and behind the second write: only their history tells.
__global__ void __launch_bounds__(128) multiply(float* y, bool fence) {
  auto& s = shared<Operands>();
  for (int lap = 0; lap < 2; ++lap) {
    for (unsigned i = threadIdx.x; i < 8 * 64; i += 128) {
      LINE_BEHIND(line);
      s.b[i / 64][i % 64] = from_float<F16>(2.0f);
    }
    for (unsigned i = threadIdx.x; lap == 0 && i < 64 * 64; i += 128) {
      s.a[i / 64][i % 64] = from_float<F16>(1.0f);
    }
    if (lap == 0 || fence) fence_proxy_async();
    __syncthreads();
  }
  float d[4];
  wgmma_fence(d);
  LINE_BEHIND(other_line);
  wgmma<F16, 8>(d, swizzled_descriptor<Major::k>(s.a), swizzled_descriptor<Major::k>(s.b), false);
  wgmma_commit();
  wgmma_wait<0>(d);
  for (unsigned i = 0; i < 4; ++i) y[4 * threadIdx.x + i] = d[i];
}

TEST(AccessRaces, AMissingProxyFence) {
  DeviceMemory<float> y(512);
  const auto run_multiply = [&](bool fence) {
    launch({.grid = 1, .block = 128, .shared_bytes = sizeof(Operands), .stream = kSimStream},
           multiply, y.data(), fence);
  };
  expect_silence([&] { run_multiply(true); });
  expect_error([&] { run_multiply(false); },
               {"a missing proxy fence: reads", "of shared memory", &line, &other_line});
}

// ---- what is ordered ----

__global__ void sum_by_shuffles(const float* x, float* y) {
  auto& s = shared<Tile>();
  float sum = x[threadIdx.x];
  for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
  if (threadIdx.x % 32 == 0) s.values[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = threadIdx.x < kThreads / 32 ? s.values[threadIdx.x] : 0;
    for (int by = 16; by > 0; by /= 2) sum += __shfl_xor_sync(~0u, sum, by);
    if (threadIdx.x == 0) *y = sum;
  }
}

// A shuffle is a meeting: what a lane wrote before it, another of its lanes may read behind it.
__global__ void pass_through_a_shuffle(float* y, int width) {
  auto& s = shared<Tile>();
  const unsigned lane = threadIdx.x % 32, half = lane / static_cast<unsigned>(width);
  const unsigned mask = width == 32 ? ~0u : half == 0 ? 0xffffu : 0xffff0000u;
  s.values[threadIdx.x] = 1;
  __syncwarp(mask);
  y[threadIdx.x] = s.values[threadIdx.x ^ static_cast<unsigned>(width / 2)];
}

// Each stage is read by all while the other one is written.
__global__ void two_stages(const float* x, float* y, int steps) {
  auto& s = shared<Tile>();
  float sum = 0;
  s.two[0][threadIdx.x] = x[threadIdx.x];
  for (int step = 0; step < steps; ++step) {
    __syncthreads();
    if (step + 1 < steps) s.two[(step + 1) % 2][threadIdx.x] = x[threadIdx.x];
    for (const float v : s.two[step % 2]) sum += v;
  }
  y[threadIdx.x] = sum;
}

__global__ void write_halves(F16* y, std::uint8_t* bytes) {
  const std::int64_t i = blockIdx.x * kThreads + threadIdx.x;
  y[i] = from_float<F16>(1);
  bytes[i] = 1;
}

__global__ void count_all(int* y) { atomicAdd(y, 1); }

// The first warp arrives, the second waits; a lane's copy is there for its neighbours behind a
// __syncwarp, which must not forget what the named barrier told.
__global__ void produce(const float* x, float* y) {
  auto& s = shared<Tile>();
  const unsigned lane = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    s.values[lane] = 1;
    named_barrier_arrive(1, kThreads);
  } else {
    named_barrier_sync(1, kThreads);
    cp_async<4>(&s.two[0][lane], x + lane);
    cp_async_wait_all();
    __syncwarp();
    y[lane] = s.values[lane] + s.two[0][lane ^ 1u];
  }
}

// A copy comes after what its own thread did before.
__global__ void write_and_fetch(float* x, float* y) {
  auto& s = shared<Tile>();
  x[threadIdx.x] = 1;
  s.values[threadIdx.x] = 0;
  cp_async<4>(&s.values[threadIdx.x], x + threadIdx.x);
  cp_async_wait_all();
  y[threadIdx.x] = s.values[threadIdx.x];
}

TEST(AccessRaces, WhatIsOrderedIsSilent) {
  DeviceMemory<float> x(kThreads), y(kThreads);
  DeviceMemory<F16> halves(3 * kThreads);
  DeviceMemory<std::uint8_t> bytes(3 * kThreads);
  DeviceMemory<int> count_of_all(1);
  x.write_zeros();
  count_of_all.write_zeros();
  expect_silence([&] {
    run(1, sum_by_shuffles, x.data(), y.data());
    run(1, pass_through_a_shuffle, y.data(), 32);
    run(1, pass_through_a_shuffle, y.data(), 16);
    run(1, two_stages, x.data(), y.data(), 5);
    run(3, write_halves, halves.data(), bytes.data());
    run(3, count_all, count_of_all.data());
    run(1, produce, x.data(), y.data());
    run(1, write_and_fetch, x.data(), y.data());
  });
}

// ---- flags and fences between blocks ----

// Each block adds to what the one before it left.
__global__ void chain(int* sum, int* flags, bool wait) {
  const int block = static_cast<int>(blockIdx.x);
  if (threadIdx.x != 0) return;
  if (block > 0 && wait) wait_for(&flags[block - 1], 1);
  LINE_BEHIND(line);
  sum[block] = block + (block > 0 ? sum[block - 1] : 0);
  publish(&flags[block], 1);
}

TEST(AccessRaces, PublishAndWaitForOrderBlocks) {
  DeviceMemory<int> sum(4), flags(4);
  sum.write_zeros();
  expect_silence([&] {
    flags.write_zeros();
    run_resident(4, chain, sum.data(), flags.data(), true);
  });
  expect_error(
      [&] {
        flags.write_zeros();
        run_resident(4, chain, sum.data(), flags.data(), false);
      },
      {"race: ", &line});
}

// The last block to finish sums what all left.
__global__ void last_block_sums(int* parts, int* finished, int* y, bool fence) {
  if (threadIdx.x != 0) return;
  LINE_BEHIND(line);
  parts[blockIdx.x] = 1;
  if (fence) __threadfence();
  if (atomicAdd(finished, 1) != static_cast<int>(gridDim.x) - 1) return;
  __threadfence();
  int sum = 0;
  for (unsigned i = 0; i < gridDim.x; ++i) {
    LINE_BEHIND(other_line);
    sum += parts[i];
  }
  *y = sum;
}

TEST(AccessRaces, AFenceBeforeAnAtomicOrdersBlocks) {
  DeviceMemory<int> parts(5), finished(1), y(1);
  expect_silence([&] {
    finished.write_zeros();
    run(5, last_block_sums, parts.data(), finished.data(), y.data(), true);
  });
  expect_error(
      [&] {
        finished.write_zeros();
        run(5, last_block_sums, parts.data(), finished.data(), y.data(), false);
      },
      {"race: ", "and nothing orders the two", &line, &other_line});
}

__global__ void counts_without_atomics(int* y) {
  if (threadIdx.x == 0) atomicAdd(y, 1);
  LINE_BEHIND(line);
  if (threadIdx.x == kThreads - 1) *y += 1;
}

TEST(AccessRaces, AnAtomicAndAPlainWrite) {
  DeviceMemory<int> y(1);
  y.write_zeros();
  expect_error([&] { run(1, counts_without_atomics, y.data()); }, {"race: ", &line});
}

}  // namespace
}  // namespace convoy::on_sim
