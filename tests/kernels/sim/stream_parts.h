// SPDX-License-Identifier: MIT
#pragma once
// What the tests of streams have in common: memory, two streams, an event and a kernel.

#include <gtest/gtest.h>

#include <numeric>

#include "tests/kernels/sim/stream_modes.h"

namespace convoy::on_sim {

inline constexpr std::size_t kCount = 100, kBytes = kCount * sizeof(int);

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

}  // namespace convoy::on_sim
