// SPDX-License-Identifier: MIT
// Streams, events and copies of the stand-in for the CUDA runtime: each planted mistake has an
// error of its own.
#include <gtest/gtest.h>

#include <vector>

#include "kernels/sim/memory.h"
#include "tests/kernels/sim/stream_parts.h"

namespace convoy::on_sim {
namespace {

using convoy::testing::contains;
using convoy::testing::error_of;
using convoy::testing::over_modes;
using convoy::testing::ScopedMode;
using sim::Async;

constexpr const char* kFile = "tests/kernels/sim/stream_faults_test.cpp";

// ---- copies ----

TEST(SimStreamFaults, AMissingEventWaitBetweenCopies) {
  over_modes([](const std::string& mode) {
    std::vector<int> back(kCount);
    Parts p;
    cudaMemcpyAsync(p.x, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    const int first = __LINE__ - 1;
    cudaEventRecord(p.event, p.a);  // and nobody waits for it
    int second = 0;
    const std::string error = error_of([&] {
      second = __LINE__ + 1;
      cudaMemcpyAsync(back.data(), p.x + 99, 4, cudaMemcpyDeviceToHost, p.b);
    });
    EXPECT_TRUE(contains(error, "a missing event wait")) << mode << ": " << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(first))) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(second)))) << error;
    // A fill beside it, and a read beside a read, are no conflict.
    cudaStreamWaitEvent(p.b, p.event);
    cudaMemcpyAsync(back.data(), p.x, 4, cudaMemcpyDeviceToHost, p.b);
    cudaMemcpyAsync(back.data() + 1, p.x, 4, cudaMemcpyDeviceToHost, p.a);
    cudaMemsetAsync(p.x + 1, 0, 4, p.a);
  });
}

TEST(SimStreamFaults, AnEventRecordedTooEarlyOrdersNothing) {
  over_modes([](const std::string& mode) {
    Parts p;
    cudaEventRecord(p.event, p.a);
    cudaMemsetAsync(p.x, 0, kBytes, p.a);
    cudaStreamWaitEvent(p.b, p.event);
    const std::string error = error_of([&] { cudaMemsetAsync(p.x, 1, kBytes, p.b); });
    EXPECT_TRUE(contains(error, "a missing event wait")) << mode << ": " << error;
  });
}

TEST(SimStreamFaults, APageLockedBufferReusedBeforeItsCopyEnded) {
  for (const std::uint64_t seed : {0, 1, 2, 3}) {
    const ScopedMode mode(seed == 0 ? Async::late : Async::seeded, seed);
    Parts p;
    // Something before it, so that no seed has it copied by the next line.
    for (int i = 0; i < 40; ++i) p.increment(p.a, p.y, p.y);
    cudaMemcpyAsync(p.x, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    const int line = __LINE__ - 1;
    p.host[50] = -5;
    const std::string error = error_of([&] { cudaStreamSynchronize(p.a); });
    EXPECT_TRUE(contains(error, "a host buffer was reused before its copy ended")) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(line)))) << error;
  }
}

TEST(SimStreamFaults, APageLockedBufferFreedBeforeItsCopyEnded) {
  over_modes([](const std::string& mode) {
    Parts p;
    void* host = nullptr;
    cudaMallocHost(&host, 64);
    cudaMemcpyAsync(p.x, host, 64, cudaMemcpyHostToDevice, p.a);
    const int line = __LINE__ - 1;
    const std::string error = error_of([&] { cudaFreeHost(host); });
    EXPECT_TRUE(contains(error, "a host buffer was freed before its copy ended")) << mode << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(line))) << error;
    cudaStreamSynchronize(p.a);
    cudaFreeHost(host);
  });
}

TEST(SimStreamFaults, ACopyOutsideAnAllocationOrInTheWrongDirection) {
  std::vector<int> back(kCount + 1);
  Parts p;
  std::string error =
      error_of([&] { cudaMemcpyAsync(back.data(), p.x, kBytes + 1, cudaMemcpyDeviceToHost, p.a); });
  EXPECT_TRUE(contains(error, "source expects 401 bytes within an allocation")) << error;
  error = error_of([&] { cudaMemcpyAsync(p.x + kCount, back.data(), 1, cudaMemcpyDefault, p.a); });
  EXPECT_TRUE(contains(error, "found byte 400 of the device allocation of 400 bytes")) << error;
  error = error_of([&] { cudaMemsetAsync(p.x - 1, 0, 4, p.a); });
  EXPECT_TRUE(contains(error, "cudaMemsetAsync: destination expects")) << error;
  error = error_of([&] { cudaMemcpyAsync(p.x, p.y, 4, cudaMemcpyHostToDevice, p.a); });
  EXPECT_TRUE(contains(error, "expects the direction host to device")) << error;
  void* gone = nullptr;
  cudaMalloc(&gone, 16);
  cudaFree(gone);
  error = error_of([&] { cudaMemsetAsync(gone, 0, 4, p.a); });
  EXPECT_TRUE(contains(error, "and freed at tests/kernels/sim/stream_faults_test.cpp")) << error;
}

// ---- handles, kernels, blocks ----

TEST(SimStreamFaults, AStreamOrEventUsedAfterItsEnd) {
  Parts p;
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  cudaStreamDestroy(stream);
  const int ended = __LINE__ - 1;
  std::string error = error_of([&] { cudaMemsetAsync(p.x, 0, 4, stream); });
  EXPECT_TRUE(
      contains(error, fmt::format("found one that was destroyed at {}", CONVOY_LINE(ended))))
      << error;
  cudaEvent_t event = nullptr;
  cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
  cudaEventDestroy(event);
  error = error_of([&] { cudaEventQuery(event); });
  EXPECT_TRUE(contains(error, "cudaEventQuery: expects an event, found one that was destroyed"));
  error = error_of([&] { cudaEventDestroy(reinterpret_cast<cudaEvent_t>(&p)); });
  EXPECT_TRUE(contains(error, "found an unknown handle")) << error;
}

#ifndef __SANITIZE_ADDRESS__
TEST(SimStreamFaults, AKernelThatWritesOutside) {
  over_modes([](const std::string& mode) {
    Parts p;
    const std::string error = error_of([&] {
      p.increment(p.a, p.x, p.x);
      submit(p.a, "kernel overflow", Where::current(), [x = p.x] { x[kCount] = 1; });
      p.increment(p.a, p.x, p.x);
      cudaStreamSynchronize(p.a);
    });
    const int line = __LINE__ - 4;
    EXPECT_TRUE(contains(error, "at byte 400 of the device allocation")) << mode << error;
    EXPECT_TRUE(contains(error, "by kernel overflow")) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(line)))) << error;
  });
}
#endif

TEST(SimStreamFaults, ABlockRecycledAcrossStreams) {
  over_modes([](const std::string& mode) {
    Parts p;
    p.increment(p.a, p.x, p.x);
    note_block_released(p.x, kBytes, p.a);
    const int released = __LINE__ - 1;
    const std::string error = error_of([&] { note_block_reused(p.x, kBytes, p.b); });
    const int reused = __LINE__ - 1;
    EXPECT_TRUE(contains(error, "a block recycled across streams")) << mode << ": " << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(released))) << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(reused)))) << error;
    // The same stream may have it at once; another after an event that the host saw pass.
    cudaEventRecord(p.event, p.a);
    while (cudaEventQuery(p.event) != cudaSuccess) {
    }
    note_block_reused(p.x, kBytes, p.b);
    note_block_released(p.x, kBytes, p.b);
    note_block_reused(p.x, kBytes, p.b);
  });
}

TEST(SimStreamFaults, ABlockGivenBackWhileAnotherStreamStillCopiesIt) {
  over_modes([](const std::string& mode) {
    std::vector<int> back(kCount);
    Parts p;
    cudaMemcpyAsync(back.data(), p.x, kBytes, cudaMemcpyDeviceToHost, p.b);
    const int line = __LINE__ - 1;
    const std::string error = error_of([&] { note_block_released(p.x, kBytes, p.a); });
    EXPECT_TRUE(contains(error, "a missing event wait: the release of a block")) << mode << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(line))) << error;
  });
}

}  // namespace
}  // namespace convoy::on_sim
