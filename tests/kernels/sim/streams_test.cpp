// SPDX-License-Identifier: MIT
// Streams, events and copies of the stand-in for the CUDA runtime: right programs give the same
// result in every order, and each planted mistake has an error of its own.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/sim/memory.h"
#include "kernels/sim/stream_order.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::on_sim {
namespace {

using convoy::testing::contains;
using convoy::testing::error_of;
using convoy::testing::over_modes;
using convoy::testing::ScopedMode;
using sim::Async;

constexpr const char* kFile = "tests/kernels/sim/streams_test.cpp";
constexpr std::size_t kCount = 100, kBytes = kCount * sizeof(int);

// Device memory, page-locked memory, streams and events of one test.
struct Parts {
  Parts() {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&x), kBytes), cudaSuccess);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&y), kBytes), cudaSuccess);
    EXPECT_EQ(cudaMallocHost(reinterpret_cast<void**>(&host), kBytes), cudaSuccess);
    for (cudaStream_t* stream : {&a, &b}) {
      EXPECT_EQ(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking), cudaSuccess);
    }
    EXPECT_EQ(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), cudaSuccess);
    std::iota(host, host + kCount, 0);
  }
  ~Parts() {
    cudaDeviceSynchronize();
    cudaEventDestroy(event);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaFree(x);
    cudaFree(y);
    cudaFreeHost(host);
  }
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  // A kernel: y[i] = x[i] + 1.
  void increment(cudaStream_t stream, const int* from, int* to) const {
    submit(stream, "kernel increment", Where::current(), [from, to] {
      for (std::size_t i = 0; i < kCount; ++i) to[i] = from[i] + 1;
    });
  }

  int *x = nullptr, *y = nullptr, *host = nullptr;
  cudaStream_t a = nullptr, b = nullptr;
  cudaEvent_t event = nullptr;
};

TEST(SimStreams, OneStreamRunsInOrder) {
  over_modes([](const std::string& mode) {
    std::vector<int> back(kCount);
    Parts p;
    cudaMemcpyAsync(p.x, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    for (int i = 0; i < 10; ++i) p.increment(p.a, p.x, p.x);
    cudaMemcpyAsync(back.data(), p.x, kBytes, cudaMemcpyDefault, p.a);
    cudaStreamSynchronize(p.a);
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(back[i], static_cast<int>(i) + 10) << mode;
  });
}

TEST(SimStreams, AnEventOrdersTwoStreams) {
  over_modes([](const std::string& mode) {
    std::vector<int> back(kCount);
    Parts p;
    cudaMemcpyAsync(p.x, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    p.increment(p.a, p.x, p.y);
    cudaEventRecord(p.event, p.a);
    p.increment(p.a, p.x, p.x);
    cudaStreamWaitEvent(p.b, p.event);
    cudaMemcpyAsync(back.data(), p.y, kBytes, cudaMemcpyDeviceToHost, p.b);
    cudaStreamSynchronize(p.b);
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(back[i], static_cast<int>(i) + 1) << mode;
  });
}

// Double buffering as a loader does it: two page-locked slots, a copy stream, a compute stream.
TEST(SimStreams, ADoubleBufferedLoopIsRightInEveryOrder) {
  over_modes([](const std::string& mode) {
    Parts p;
    std::array<cudaEvent_t, 2> copied{}, used{};
    std::array<int*, 2> slot{}, input{};
    for (int i = 0; i < 2; ++i) {
      cudaEventCreateWithFlags(&copied[i], cudaEventDisableTiming);
      cudaEventCreateWithFlags(&used[i], cudaEventDisableTiming);
      cudaMallocHost(reinterpret_cast<void**>(&slot[i]), kBytes);
      cudaMalloc(reinterpret_cast<void**>(&input[i]), kBytes);
    }
    cudaMemsetAsync(p.x, 0, kBytes, p.a);
    for (int step = 0; step < 8; ++step) {
      const int i = step % 2;
      cudaEventSynchronize(copied[i]);  // the slot's last copy
      for (std::size_t k = 0; k < kCount; ++k) slot[i][k] = step;
      cudaStreamWaitEvent(p.b, used[i]);
      cudaMemcpyAsync(input[i], slot[i], kBytes, cudaMemcpyHostToDevice, p.b);
      cudaEventRecord(copied[i], p.b);
      cudaStreamWaitEvent(p.a, copied[i]);
      submit(p.a, "kernel add", Where::current(), [from = input[i], to = p.x] {
        for (std::size_t k = 0; k < kCount; ++k) to[k] += from[k];
      });
      cudaEventRecord(used[i], p.a);
    }
    std::vector<int> sum(kCount);
    cudaMemcpyAsync(sum.data(), p.x, kBytes, cudaMemcpyDeviceToHost, p.a);
    cudaStreamSynchronize(p.a);
    for (const int value : sum) ASSERT_EQ(value, 28) << mode;
    for (int i = 0; i < 2; ++i) {
      cudaFree(input[i]);
      cudaFreeHost(slot[i]);
      cudaEventDestroy(copied[i]);
      cudaEventDestroy(used[i]);
    }
  });
}

TEST(SimStreams, LateRunsNoMoreThanAWaitDemands) {
  const ScopedMode mode(Async::late);
  Parts p;
  std::string ran;
  const auto note = [&](cudaStream_t stream, char letter) {
    submit(stream, "note", Where::current(), [&ran, letter] { ran += letter; });
  };
  note(p.a, '1');
  cudaEventRecord(p.event, p.a);
  note(p.a, '2');
  note(p.b, 'x');
  EXPECT_EQ(ran, "");
  cudaStreamWaitEvent(p.b, p.event);
  note(p.b, 'y');
  cudaEventSynchronize(p.event);
  EXPECT_EQ(ran, "1");
  cudaStreamSynchronize(p.b);
  EXPECT_EQ(ran, "1xy");
  cudaStreamSynchronize(p.a);
  EXPECT_EQ(ran, "1xy2");
}

TEST(SimStreams, AskingAgainAndAgainEnds) {
  over_modes([](const std::string& mode) {
    Parts p;
    for (int i = 0; i < 5; ++i) p.increment(p.a, p.y, p.y);
    cudaEventRecord(p.event, p.a);
    cudaStreamWaitEvent(p.b, p.event);
    int asked = 0;
    while (cudaStreamQuery(p.b) == cudaErrorNotReady) {
      ASSERT_LT(++asked, 1000) << mode;
    }
    EXPECT_EQ(cudaEventQuery(p.event), cudaSuccess);
    if (mode == "eager") {
      EXPECT_EQ(asked, 0);
    } else if (mode == "late") {
      EXPECT_GT(asked, 3);
    }
  });
}

TEST(SimStreams, ASeedGivesTheSameOrderAgainAndSeedsDiffer) {
  const auto order = [](std::uint64_t seed) {
    const ScopedMode mode(Async::seeded, seed);
    Parts p;
    std::string ran;
    for (int i = 0; i < 20; ++i) {
      for (const cudaStream_t stream : {p.a, p.b}) {
        submit(stream, "note", Where::current(), [&, stream] { ran += stream == p.a ? 'a' : 'b'; });
      }
    }
    cudaDeviceSynchronize();
    return ran;
  };
  EXPECT_EQ(order(3), order(3));
  EXPECT_NE(order(3), order(4));
}

TEST(SimStreams, WhatACopyWillWriteIsPoisonUntilItRan) {
  const ScopedMode mode(Async::late);
  std::vector<int> back(kCount, 7);
  Parts p;
  cudaMemsetAsync(p.x, 0, kBytes, p.a);
  cudaMemcpyAsync(back.data(), p.x, kBytes, cudaMemcpyDeviceToHost, p.a);
  for (const int value : back) ASSERT_EQ(value, -1);
  cudaStreamSynchronize(p.a);
  for (const int value : back) ASSERT_EQ(value, 0);
}

TEST(SimStreams, ABufferMayGoOutAndComeBackOnOneStream) {
  over_modes([](const std::string& mode) {
    Parts p;
    cudaMemcpyAsync(p.x, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    p.increment(p.a, p.x, p.x);
    cudaMemcpyAsync(p.host, p.x, kBytes, cudaMemcpyDeviceToHost, p.a);
    cudaMemcpyAsync(p.y, p.host, kBytes, cudaMemcpyHostToDevice, p.a);
    std::vector<int> back(kCount);
    cudaMemcpyAsync(back.data(), p.y, kBytes, cudaMemcpyDeviceToHost, p.a);
    cudaStreamSynchronize(p.a);
    for (std::size_t i = 0; i < kCount; ++i) ASSERT_EQ(back[i], static_cast<int>(i) + 1) << mode;
  });
}

// ---- planted faults: copies ----

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
  EXPECT_TRUE(contains(error, "and freed at tests/kernels/sim/streams_test.cpp")) << error;
}

// ---- planted faults: handles, kernels, blocks ----

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

TEST(SimStreams, AReleasedBlockIsPoison) {
  over_modes([](const std::string& mode) {
    Parts p;
    cudaMemsetAsync(p.x, 0, kBytes, p.a);
    note_block_released(p.x, kBytes, p.a);
    note_block_reused(p.x, kBytes, p.a);
    std::vector<int> back(kCount);
    cudaMemcpyAsync(back.data(), p.x, kBytes, cudaMemcpyDeviceToHost, p.a);
    cudaStreamSynchronize(p.a);
    for (const int value : back) ASSERT_EQ(value, -1) << mode;
  });
}

TEST(SimStreams, FreeingWaitsForAllThatIsEnqueued) {
  over_modes([](const std::string& mode) {
    Parts p;
    int* x = nullptr;
    int seen = 0;
    cudaMalloc(reinterpret_cast<void**>(&x), 4);
    submit(p.a, "kernel", Where::current(), [x, &seen] {
      *x = 3;
      seen = *x;
    });
    cudaFree(x);
    EXPECT_EQ(seen, 3) << mode;
  });
}

TEST(SimStreams, AnErrorDropsWhatIsEnqueuedAndLeavesTheDeviceUsable) {
  over_modes([](const std::string& mode) {
    Parts p;
    bool ran = false;
    const std::string error = error_of([&] {
      submit(p.a, "kernel bad", Where::current(), [] { fail("kernel: went wrong"); });
      submit(p.a, "kernel after", Where::current(), [&] { ran = true; });
      cudaStreamSynchronize(p.a);
    });
    EXPECT_TRUE(contains(error, "kernel: went wrong")) << mode;
    cudaStreamSynchronize(p.a);
    EXPECT_FALSE(ran) << mode;
    submit(p.a, "kernel later", Where::current(), [&] { ran = true; });
    cudaStreamSynchronize(p.a);
    EXPECT_TRUE(ran);
  });
}

// ---- the order that the access checker asks for ----

TEST(SimStreams, AnOperationKnowsWhatComesBeforeIt) {
  over_modes([](const std::string& mode) {
    Parts p;
    sim::OperationId first = 0;
    bool before_wait = true, after_wait = false, waited_for = false;
    std::string text;
    submit(p.a, "kernel first", Where::current(), [&] { first = sim::current_operation(); });
    const int line = __LINE__ - 1;
    cudaStreamSynchronize(p.a);
    sim::OperationId second = 0;
    submit(p.a, "kernel second", Where::current(), [&] { second = sim::current_operation(); });
    cudaEventRecord(p.event, p.a);
    submit(p.b, "kernel third", Where::current(), [&] {
      before_wait = second != 0 && sim::ordered_before_current(second);
      waited_for = sim::ordered_before_current(first);
      text = sim::describe(first);
    });
    cudaStreamWaitEvent(p.b, p.event);
    submit(p.b, "kernel fourth", Where::current(),
           [&] { after_wait = sim::ordered_before_current(second); });
    cudaDeviceSynchronize();
    EXPECT_FALSE(before_wait) << mode;
    EXPECT_TRUE(after_wait) << mode;
    EXPECT_TRUE(waited_for) << mode;
    EXPECT_TRUE(contains(text, "kernel first on stream")) << text;
    EXPECT_TRUE(contains(text, CONVOY_LINE(line))) << text;
    EXPECT_EQ(sim::current_operation(), 0u);
  });
}

}  // namespace
}  // namespace convoy::on_sim
