// SPDX-License-Identifier: MIT
// Capture and replay on the stand-in for the CUDA runtime.
#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/sim/stream_parts.h"

namespace convoy::on_sim {
namespace {

using convoy::testing::contains;
using convoy::testing::error_of;
using convoy::testing::over_modes;

constexpr const char* kFile = "tests/kernels/sim/graph_test.cpp";

// A graph besides, and a second event: one forks, one joins.
struct GraphParts : Parts {
  GraphParts() { cudaEventCreateWithFlags(&join, cudaEventDisableTiming); }
  ~GraphParts() {
    cudaDeviceSynchronize();
    if (exec != nullptr) cudaGraphExecDestroy(exec);
    if (graph != nullptr) cudaGraphDestroy(graph);
    cudaEventDestroy(join);
  }

  void add(cudaStream_t stream, int* to, int value) const {
    submit(stream, "kernel add", Where::current(), [to, value] { *to += value; });
  }
  void instantiate() {
    ASSERT_EQ(cudaStreamEndCapture(a, &graph), cudaSuccess);
    ASSERT_EQ(cudaGraphInstantiate(&exec, graph), cudaSuccess);
  }
  int read(const int* from) const {
    int value = 0;
    cudaMemcpyAsync(&value, from, 4, cudaMemcpyDeviceToHost, a);
    cudaStreamSynchronize(a);
    return value;
  }

  cudaEvent_t& fork = event;
  cudaEvent_t join = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
};

TEST(SimGraph, ReplaysWhatWasCapturedAndRunsNothingMeanwhile) {
  over_modes([](const std::string& mode) {
    GraphParts p;
    *p.host = 5;
    cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
    cudaMemcpyAsync(p.x, p.host, 4, cudaMemcpyHostToDevice, p.a);
    p.add(p.a, p.x, 1);
    p.instantiate();
    cudaMemsetAsync(p.x, 0, 4, p.a);
    EXPECT_EQ(p.read(p.x), 0) << mode;
    for (const int input : {5, 17}) {
      *p.host = input;
      EXPECT_EQ(cudaGraphLaunch(p.exec, p.a), cudaSuccess);
      EXPECT_EQ(p.read(p.x), input + 1) << mode;
    }
  });
}

// Fork by an event, work on both streams, join by another.
void capture_fork(GraphParts& p) {
  cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
  p.add(p.a, p.x, 1);
  cudaEventRecord(p.fork, p.a);
  cudaStreamWaitEvent(p.b, p.fork);
  submit(p.b, "kernel copy", Where::current(), [x = p.x, y = p.y] { *y = *x; });
  cudaEventRecord(p.join, p.b);
  cudaStreamWaitEvent(p.a, p.join);
  p.add(p.a, p.x, 10);
}

TEST(SimGraph, KeepsTheOrderOfAForkAndAJoin) {
  over_modes([](const std::string& mode) {
    GraphParts p;
    capture_fork(p);
    p.instantiate();
    cudaMemsetAsync(p.x, 0, 4, p.a);
    for (int i = 0; i < 5; ++i) cudaGraphLaunch(p.exec, p.a);
    EXPECT_EQ(p.read(p.x), 55) << mode;
    EXPECT_EQ(p.read(p.y), 45) << mode;
  });
}

TEST(SimGraph, TwoLaunchesNeverOverlap) {
  over_modes([](const std::string& mode) {
    GraphParts p;
    capture_fork(p);
    p.instantiate();
    cudaMemsetAsync(p.x, 0, 4, p.a);
    cudaGraphLaunch(p.exec, p.a);
    cudaGraphLaunch(p.exec, p.b);
    cudaStreamSynchronize(p.b);
    EXPECT_EQ(p.read(p.x), 22) << mode;
  });
}

TEST(SimGraph, AConflictOfAReplayedCopyIsSeen) {
  over_modes([](const std::string& mode) {
    GraphParts p;
    cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
    cudaMemsetAsync(p.x, 0, 4, p.a);
    const int line = __LINE__ - 1;
    p.instantiate();
    cudaMemsetAsync(p.x, 1, 4, p.b);
    const std::string error = error_of([&] { cudaGraphLaunch(p.exec, p.a); });
    EXPECT_TRUE(contains(error, "a missing event wait")) << mode << error;
    EXPECT_TRUE(contains(error, fmt::format("[{}]", CONVOY_LINE(line)))) << error;
  });
}

TEST(SimGraphFaults, WhatACaptureForbids) {
  GraphParts p;
  void* memory = nullptr;
  const auto forbidden = [&](const char* name, auto call) {
    cudaStreamBeginCapture(p.a, cudaStreamCaptureModeGlobal);
    const int begun = __LINE__ - 1;
    const std::string error = error_of(call);
    EXPECT_TRUE(contains(error, fmt::format("{}: not allowed", name))) << error;
    EXPECT_TRUE(contains(error, CONVOY_LINE(begun))) << error;
    EXPECT_EQ(cudaStreamEndCapture(p.a, &p.graph), cudaErrorStreamCaptureInvalidated);
    EXPECT_EQ(p.graph, nullptr);
  };
  forbidden("cudaMalloc", [&] { cudaMalloc(&memory, 4); });
  forbidden("cudaFree", [&] { cudaFree(p.x); });
  forbidden("cudaMallocHost", [&] { cudaMallocHost(&memory, 4); });
  forbidden("cudaFreeHost", [&] { cudaFreeHost(p.host); });
  forbidden("cudaDeviceSynchronize", [&] { cudaDeviceSynchronize(); });
  forbidden("cudaStreamSynchronize", [&] { cudaStreamSynchronize(p.a); });
  forbidden("cudaStreamQuery", [&] { cudaStreamQuery(p.b); });
  forbidden("cudaEventQuery", [&] { cudaEventQuery(p.fork); });
  forbidden("cudaEventSynchronize", [&] { cudaEventSynchronize(p.fork); });
}

TEST(SimGraphFaults, ACaptureThatNobodyJoins) {
  GraphParts p;
  cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
  cudaEventRecord(p.fork, p.a);
  cudaStreamWaitEvent(p.b, p.fork);
  p.add(p.b, p.x, 1);
  const std::string error = error_of([&] { cudaStreamEndCapture(p.a, &p.graph); });
  EXPECT_TRUE(contains(error, "expects that the stream waits for every other")) << error;
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusActive;
  cudaStreamIsCapturing(p.b, &status);
  EXPECT_EQ(status, cudaStreamCaptureStatusNone) << "both streams have left it";
}

TEST(SimGraphFaults, AnEventFromOutsideInACapture) {
  GraphParts p;
  cudaEventRecord(p.fork, p.b);
  cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
  const std::string error = error_of([&] { cudaStreamWaitEvent(p.a, p.fork); });
  EXPECT_TRUE(contains(error, "expects an event of the stream's own capture")) << error;
  cudaStreamEndCapture(p.a, &p.graph);
}

TEST(SimGraphFaults, ABlockRecycledAcrossStreamsOfACapture) {
  GraphParts p;
  cudaStreamBeginCapture(p.a, cudaStreamCaptureModeThreadLocal);
  cudaEventRecord(p.fork, p.a);
  cudaStreamWaitEvent(p.b, p.fork);
  note_block_released(p.x, 4, p.a);
  const std::string error = error_of([&] { note_block_reused(p.x, 4, p.b); });
  EXPECT_TRUE(contains(error, "a block recycled across streams")) << error;
  cudaEventRecord(p.fork, p.a);
  cudaStreamWaitEvent(p.b, p.fork);
  note_block_reused(p.x, 4, p.b);
  cudaEventRecord(p.join, p.b);
  cudaStreamWaitEvent(p.a, p.join);
  p.instantiate();
}

}  // namespace
}  // namespace convoy::on_sim
