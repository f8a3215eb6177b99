// SPDX-License-Identifier: MIT
// The access checker: what lies outside, what nobody wrote, what is not aligned, what has no
// defined result. A planted fault has its own error, at its line, in every order; the same kernel
// without it has none.
#include <limits>

#include "kernels/half.h"
#include "tests/kernels/sim/access_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Tile {
  float values[kThreads];
  float more[kThreads];
};

template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.grid = 1, .block = kThreads, .shared_bytes = sizeof(Tile), .stream = kSimStream}, kernel,
         arguments...);
}

int line;

// ---- bounds ----

__global__ void reads_shared(float* y, int shift) {
  auto& s = shared<Tile>();
  s.more[threadIdx.x] = 1;
  __syncthreads();
  LINE_BEHIND(line);
  y[threadIdx.x] = (s.more + shift)[threadIdx.x];
}

TEST(AccessBounds, ReadBehindSharedMemory) {
  DeviceMemory<float> y(kThreads);
  expect_silence([&] { run(reads_shared, y.data(), 0); });
  expect_error([&] { run(reads_shared, y.data(), 1); },
               {"kernel reads_shared, thread (63,0,0) of block (0,0,0): out of bounds: reads 4 "
                "bytes at offset 512 of shared memory, which has 512 bytes",
                &line});
}

__global__ void writes_shared(int shift) {
  auto& s = shared<Tile>();
  LINE_BEHIND(line);
  s.values[static_cast<int>(threadIdx.x) + shift] = 1;
}

TEST(AccessBounds, WriteBeforeSharedMemory) {
  expect_silence([&] { run(writes_shared, 0); });
  expect_error([&] { run(writes_shared, -1); },
               {"thread (0,0,0) of block (0,0,0): out of bounds: writes 4 bytes at offset -4 of "
                "shared memory, which has 512 bytes",
                &line});
}

__global__ void writes_global(float* y, int shift) {
  LINE_BEHIND(line);
  y[static_cast<int>(threadIdx.x) + shift] = 1;
}

TEST(AccessBounds, GlobalMemoryByOneElement) {
  DeviceMemory<float> y(kThreads);
  expect_silence([&] { run(writes_global, y.data(), 0); });
  expect_error(
      [&] { run(writes_global, y.data(), -1); },
      {"kernel writes_global, thread (0,0,0)",
       "out of bounds: writes 4 bytes at byte -4 of the device allocation of 256 bytes", &line});
  expect_error(
      [&] { run(writes_global, y.data(), 1); },
      {"kernel writes_global, thread (63,0,0)",
       "out of bounds: writes 4 bytes at byte 256 of the device allocation of 256 bytes", &line});
}

TEST(AccessBounds, FreedMemory) {
  float* freed;
  {
    const DeviceMemory<float> y(kThreads);
    freed = y.data();
    run(writes_global, freed, 0);
  }
  expect_error([&] { run(writes_global, freed, 0); },
               {"after free: writes 4 bytes at byte", "and freed at", &line});
}

TEST(AccessBounds, HostMemory) {
  std::vector<float> host(kThreads);
  expect_error([&] { run(writes_global, host.data(), 0); }, {"host memory: writes 4 bytes", &line});
}

// ---- values ----

__global__ void reads_after_some_wrote(float* y, int writers) {
  auto& s = shared<Tile>();
  if (static_cast<int>(threadIdx.x) < writers) s.values[threadIdx.x] = 1;
  LINE_BEHIND(line);
  y[threadIdx.x] = s.values[threadIdx.x];
}

TEST(AccessValues, UnwrittenSharedMemory) {
  DeviceMemory<float> y(kThreads);
  expect_silence([&] { run(reads_after_some_wrote, y.data(), kThreads); });
  expect_error(
      [&] { run(reads_after_some_wrote, y.data(), kThreads - 1); },
      {"thread (63,0,0) of block (0,0,0): unwritten: reads 4 bytes at offset 252 of shared "
       "memory",
       &line});
}

// Neighbours in one word have values of their own.
__global__ void writes_every_other(F16* y, F16* z, int shift) {
  y[2 * threadIdx.x] = F16{};
  LINE_BEHIND(line);
  z[threadIdx.x] = y[static_cast<int>(2 * threadIdx.x) + shift];
}

TEST(AccessValues, AnUnwrittenHalf) {
  DeviceMemory<F16> y(2 * kThreads), z(kThreads);
  expect_silence([&] { run(writes_every_other, y.data(), z.data(), 0); });
  expect_error([&] { run(writes_every_other, y.data(), z.data(), 1); },
               {"unwritten: reads 2 bytes", &line});
}

__global__ void copies(const float* x, float* y) {
  LINE_BEHIND(line);
  y[threadIdx.x] = x[threadIdx.x];
}

TEST(AccessValues, UnwrittenGlobalMemory) {
  DeviceMemory<float> x(kThreads), y(kThreads), z(kThreads);
  expect_error([&] { run(copies, x.data(), y.data()); },
               {"unwritten: reads 4 bytes at byte", "of the device allocation", &line});
  x.write_zeros();
  expect_silence([&] {
    run(copies, x.data(), y.data());
    run(copies, y.data(), z.data());
  });
}

__global__ void loads_vector(const float* x, float* y) {
  LINE_BEHIND(line);
  const float4 v = reinterpret_cast<const float4*>(x)[threadIdx.x];
  y[threadIdx.x] = v.x + v.y + v.z + v.w;
}

TEST(AccessValues, MisalignedVectorLoad) {
  DeviceMemory<float> x(4 * kThreads + 4), y(kThreads);
  x.write_zeros();
  expect_silence([&] { run(loads_vector, x.data() + 4, y.data()); });
  expect_error(
      [&] { run(loads_vector, x.data() + 1, y.data()); },
      {"kernel loads_vector, thread", "misaligned access at byte", "not a multiple of 16", &line});
}

__global__ void calculates(char operation, int a, int b, int* y) {
  int& result = y[threadIdx.x];
  LINE_BEHIND(line);
  if (operation == '+') result = a + b;
  if (operation == '-') result = a - b;
  if (operation == '*') result = a * b;
  if (operation == '/') result = a / b;
  if (operation == '<') result = a << b;
  if (operation == 'n') result = -a;
}

TEST(AccessValues, IntegersWithoutADefinedResult) {
  DeviceMemory<int> y(kThreads);
  const auto with = [&](char operation, int a, int b) {
    return [&y, operation, a, b] { run(calculates, operation, a, b, y.data()); };
  };
  constexpr int kLargest = std::numeric_limits<int>::max();
  for (const char operation : {'+', '-', '*', '/', '<', 'n'}) {
    expect_silence(with(operation, 6, 3));
    expect_silence(with(operation, -kLargest, 1));
  }
  expect_error(with('+', kLargest, 1), {"kernel calculates, thread", "a sum that", &line});
  expect_error(with('-', -kLargest, 2), {"a difference that"});
  expect_error(with('*', 1 << 16, 1 << 15), {"a product that"});
  expect_error(with('/', 1, 0), {"a division by zero"});
  expect_error(with('/', -kLargest - 1, -1), {"a division by zero, or of the least number by -1"});
  expect_error(with('<', 1, 32), {"a shift by"});
  expect_error(with('<', 1, -1), {"a shift by"});
  expect_error(with('n', -kLargest - 1, 0), {"the negative of the least number"});
}

}  // namespace
}  // namespace convoy::on_sim
