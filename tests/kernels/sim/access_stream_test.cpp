// SPDX-License-Identifier: MIT
// Kernels on two streams: memory that one writes and another uses must be ordered by an event, and
// so must a block that the allocator takes back and hands out again.
#include "tests/kernels/sim/access_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

int line, other_line;

__global__ void produce(float* x) {
  LINE_BEHIND(line);
  x[threadIdx.x] = 1;
}
__global__ void consume(const float* x, float* y) {
  LINE_BEHIND(other_line);
  y[threadIdx.x] = x[threadIdx.x];
}

class Streams {
 public:
  Streams() {
    restart();
    for (cudaStream_t& stream : streams_) cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&event_, cudaEventDisableTiming);
  }
  ~Streams() {
    restart();
    for (cudaStream_t stream : streams_) cudaStreamDestroy(stream);
    cudaEventDestroy(event_);
  }
  Streams(const Streams&) = delete;
  Streams& operator=(const Streams&) = delete;

  cudaStream_t operator[](int i) const { return streams_[i]; }
  // The second waits for all of the first.
  void order() const {
    cudaEventRecord(event_, streams_[0]);
    cudaStreamWaitEvent(streams_[1], event_);
  }
  template <class... Parameters, class... Arguments>
  void run(int on, void (*kernel)(Parameters...), Arguments... arguments) const {
    const Stream stream{{DeviceType::sim}, streams_[on]};
    launch({.grid = 1, .block = kThreads, .stream = stream}, kernel, arguments...);
  }

 private:
  cudaStream_t streams_[2]{};
  cudaEvent_t event_{};
};

class DeviceBlock {
 public:
  DeviceBlock() { cudaMalloc(&data_, kThreads * sizeof(float)); }
  ~DeviceBlock() { cudaFree(data_); }
  DeviceBlock(const DeviceBlock&) = delete;
  DeviceBlock& operator=(const DeviceBlock&) = delete;
  float* data() const { return static_cast<float*>(data_); }

 private:
  void* data_ = nullptr;
};

void write_then_read(bool event) {
  const DeviceBlock x, y;
  const Streams streams;
  cudaMemsetAsync(x.data(), 0, kThreads * sizeof(float), streams[0]);
  cudaStreamSynchronize(streams[0]);
  streams.run(0, produce, x.data());
  if (event) streams.order();
  streams.run(1, consume, x.data(), y.data());
  cudaDeviceSynchronize();
}

TEST(AccessStreams, AMissingEventWait) {
  expect_silence([] { write_then_read(true); });
  expect_error([] { write_then_read(false); }, {"a missing event wait: ", &line, &other_line});
}

void fill_then_read(bool event) {
  const DeviceBlock x, y;
  const Streams streams;
  cudaMemsetAsync(x.data(), 1, kThreads * sizeof(float), streams[0]);
  cudaStreamSynchronize(streams[0]);
  cudaMemsetAsync(x.data(), 0, kThreads * sizeof(float), streams[0]);
  if (event) streams.order();
  streams.run(1, consume, x.data(), y.data());
  cudaDeviceSynchronize();
}

TEST(AccessStreams, AMissingEventWaitAfterAFill) {
  expect_silence([] { fill_then_read(true); });
  expect_error([] { fill_then_read(false); }, {"a missing event wait: ", &other_line});
}

// A copy of what nobody wrote is not written either.
void copy_then_read(bool fill) {
  const DeviceBlock x, y, z;
  const Streams streams;
  if (fill) cudaMemsetAsync(x.data(), 0, kThreads * sizeof(float), streams[1]);
  cudaMemcpyAsync(y.data(), x.data(), kThreads * sizeof(float), cudaMemcpyDeviceToDevice,
                  streams[1]);
  streams.run(1, consume, y.data(), z.data());
  cudaDeviceSynchronize();
}

TEST(AccessStreams, ACopyOfUnwrittenMemory) {
  expect_silence([] { copy_then_read(true); });
  expect_error([] { copy_then_read(false); }, {"unwritten: reads 4 bytes", &other_line});
}

// What the first stream gave back, the second one uses before that has happened.
void recycle(bool event) {
  const DeviceBlock x;
  const Streams streams;
  streams.run(0, produce, x.data());
  cudaStreamSynchronize(streams[0]);
  note_block_released(x.data(), kThreads * sizeof(float), streams[0]);
  if (event) streams.order();
  streams.run(1, produce, x.data());
  cudaDeviceSynchronize();
}

TEST(AccessStreams, ABlockRecycledAcrossStreams) {
  expect_silence([] { recycle(true); });
  expect_error([] { recycle(false); },
               {"a block recycled across streams: ", "the release of a block of 256 bytes", &line});
}

}  // namespace
}  // namespace convoy::on_sim
