// SPDX-License-Identifier: MIT
// Streams, events and copies of the stand-in for the CUDA runtime: right programs give the same
// result in every order. (Wrong ones: stream_faults_test.cpp.)
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "kernels/sim/memory.h"
#include "kernels/sim/stream_order.h"
#include "tests/kernels/sim/stream_parts.h"

namespace convoy::on_sim {
namespace {

using convoy::testing::contains;
using convoy::testing::error_of;
using convoy::testing::over_modes;
using convoy::testing::ScopedMode;
using sim::Async;

constexpr const char* kFile = "tests/kernels/sim/streams_test.cpp";

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
