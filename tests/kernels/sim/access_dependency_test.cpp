// SPDX-License-Identifier: MIT
// Programmatic launches under the access checker: whoever touches device memory before it has
// waited for the stream's previous kernel is named, though here that one has always ended.
#include "kernels/gpu/ptx/cp_async.cuh"
#include "kernels/gpu/ptx/dependency.cuh"
#include "tests/kernels/sim/access_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Tile {
  alignas(16) float values[4 * kThreads];
};

template <class... Parameters, class... Arguments>
void run(bool programmatic, void (*kernel)(Parameters...), Arguments... arguments) {
  launch({.grid = 2,
          .block = kThreads,
          .shared_bytes = sizeof(Tile),
          .stream = kSimStream,
          .programmatic = programmatic},
         kernel, arguments...);
}

int line;

__global__ void adds_one(float* y, bool waits) {
  shared<Tile>().values[threadIdx.x] = 1;  // its own memory may be used at once
  if (waits) previous_kernel_wait();
  LINE_BEHIND(line);
  y[blockIdx.x * kThreads + threadIdx.x] += shared<Tile>().values[threadIdx.x];
}

TEST(AccessDependency, AnAccessBeforeTheWait) {
  DeviceMemory<float> y(2 * kThreads);
  y.write_zeros();
  expect_silence([&] { run(true, adds_one, y.data(), true); });
  expect_silence([&] { run(false, adds_one, y.data(), false); });
  expect_error([&] { run(true, adds_one, y.data(), false); },
               {"kernel adds_one, thread (", "too early: reads 4 bytes",
                "before previous_kernel_wait()", &line});
}

// Each thread waits for itself.
__global__ void one_thread_waits(float* y) {
  if (threadIdx.x == 0) begin_kernel();
  __syncthreads();
  y[blockIdx.x * kThreads + threadIdx.x] = 1;
}

TEST(AccessDependency, OneThreadsWaitIsNotAnothers) {
  DeviceMemory<float> y(2 * kThreads);
  expect_error([&] { run(true, one_thread_waits, y.data()); }, {"too early: writes 4 bytes"});
}

__global__ void copies(const float* x, bool waits) {
  auto& s = shared<Tile>();
  if (waits) begin_kernel();
  cp_async<16>(&s.values[4 * threadIdx.x], x + 4 * threadIdx.x);
  cp_async_commit();
  cp_async_wait<0>();
}

TEST(AccessDependency, ACopyThatIsIssuedBeforeTheWait) {
  DeviceMemory<float> x(4 * kThreads);
  x.write_zeros();
  expect_silence([&] { run(true, copies, x.data(), true); });
  expect_error([&] { run(true, copies, x.data(), false); }, {"too early: reads 16 bytes"});
}

TEST(AccessDependency, AResidentLaunchIsNotProgrammatic) {
  DeviceMemory<float> y(2 * kThreads);
  y.write_zeros();
  expect_silence([&] {
    launch({.grid = 2,
            .block = kThreads,
            .shared_bytes = sizeof(Tile),
            .stream = kSimStream,
            .programmatic = true,
            .resident = true},
           adds_one, y.data(), false);
  });
}

}  // namespace
}  // namespace convoy::on_sim
