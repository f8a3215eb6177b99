// SPDX-License-Identifier: MIT
// The GPU's host code, on the CUDA runtime or on its stand-in.
#include "runtime/device_gpu.h"

#include <atomic>
#include <memory>
#include <type_traits>

#include "kernels/gpu/current_device.h"
#include "kernels/launch_log.h"
#include "kernels/sim/memory.h"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr DeviceType kType = kSim ? DeviceType::sim : DeviceType::cuda;

// Calls the runtime. The stand-in is told our caller's place as well, for errors of its own.
template <class Function, class... Arguments>
cudaError_t status_of(const std::source_location& where, Function function,
                      Arguments... arguments) {
  if constexpr (std::is_invocable_v<Function, Arguments..., std::source_location>) {
    return function(arguments..., where);
  } else {
    return function(arguments...);
  }
}

// By name: CUDA has templates of the same names beside these.
constexpr auto malloc_device = [](void** memory, std::size_t bytes,
                                  auto... where) -> decltype(cudaMalloc(memory, bytes, where...)) {
  return cudaMalloc(memory, bytes, where...);
};
constexpr auto malloc_host =
    [](void** memory, std::size_t bytes,
       auto... where) -> decltype(cudaMallocHost(memory, bytes, where...)) {
  return cudaMallocHost(memory, bytes, where...);
};

cudaStream_t handle_of(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t event_of(void* event) { return static_cast<cudaEvent_t>(event); }

class GpuBackend final : public DeviceBackend {
 public:
  explicit GpuBackend(int index) : device_{kType, index}, default_(take_stream()) {
    check("cudaGetDeviceProperties", cudaGetDeviceProperties(&properties_, index),
          Where::current());
  }

  void* allocate(std::size_t bytes) override {
    throw_deferred();
    use();
    void* memory = nullptr;
    const cudaError_t status = status_of(Where::current(), malloc_device, &memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // or the next launch would report it
      return nullptr;
    }
    check("cudaMalloc", status, Where::current());
    return memory;
  }
  void release(void* memory, std::size_t) noexcept override {
    quietly([&] { call("cudaFree", Where::current(), cudaFree, memory); });
  }

  void copy(void* to, const void* from, std::size_t bytes, const Stream& stream,
            Where where) override {
    throw_deferred();
    if (bytes == 0) return;
    use();
    call("cudaMemcpyAsync", where, cudaMemcpyAsync, to, from, bytes, cudaMemcpyDefault,
         handle_of(stream));
  }
  void synchronize(const Stream& stream) override {
    use();
    call("cudaStreamSynchronize", Where::current(), cudaStreamSynchronize, handle_of(stream));
    throw_deferred();
  }

  Stream default_stream() override { return default_; }
  bool host_accessible() const override { return false; }
  bool is_asynchronous() const override { return true; }
  std::string description() const override {
    return fmt::format("{}, {}, {} multiprocessors, {:.1f} GiB, compute capability {}.{}", device_,
                       properties_.name, properties_.multiProcessorCount,
                       static_cast<double>(properties_.totalGlobalMem) / (1 << 30),
                       properties_.major, properties_.minor);
  }

  Stream take_stream() override {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      const Stream stream = idle_.back();
      idle_.pop_back();
      return stream;
    }
    use();
    cudaStream_t stream = nullptr;
    call("cudaStreamCreateWithFlags", Where::current(), cudaStreamCreateWithFlags, &stream,
         cudaStreamNonBlocking);
    return {device_, stream};
  }
  void give_back(const Stream& stream) noexcept override {
    const std::lock_guard lock(mutex_);
    idle_.push_back(stream);
  }

  void* create_event() override {
    use();
    cudaEvent_t event = nullptr;
    call("cudaEventCreateWithFlags", Where::current(), cudaEventCreateWithFlags, &event,
         cudaEventDisableTiming);
    return event;
  }
  void destroy_event(void* event) noexcept override {
    quietly([&] { call("cudaEventDestroy", Where::current(), cudaEventDestroy, event_of(event)); });
  }
  void record(void* event, const Stream& stream, Where where) override {
    use();
    call("cudaEventRecord", where, cudaEventRecord, event_of(event), handle_of(stream));
  }
  void wait(const Stream& stream, void* event, Where where) override {
    use();
    call("cudaStreamWaitEvent", where, cudaStreamWaitEvent, handle_of(stream), event_of(event), 0u);
  }
  bool has_passed(void* event) override {
    use();
    const cudaError_t status = status_of(Where::current(), cudaEventQuery, event_of(event));
    if (status == cudaErrorNotReady) return false;
    check("cudaEventQuery", status, Where::current());
    return true;
  }
  void synchronize_event(void* event) override {
    use();
    call("cudaEventSynchronize", Where::current(), cudaEventSynchronize, event_of(event));
  }

  void* create_timing_event() override {
    use();
    cudaEvent_t event = nullptr;
    call("cudaEventCreateWithFlags", Where::current(), cudaEventCreateWithFlags, &event,
         cudaEventDefault);
    return event;
  }
  double seconds_between(void* first, void* last) override {
    if (kSim) return DeviceBackend::seconds_between(first, last);
    use();
    float milliseconds = 0;
    call("cudaEventElapsedTime", Where::current(), cudaEventElapsedTime, &milliseconds,
         event_of(first), event_of(last));
    return static_cast<double>(milliseconds) / 1e3;
  }

  void* allocate_pinned(std::size_t bytes) override {
    use();
    void* memory = nullptr;
    call("cudaMallocHost", Where::current(), malloc_host, &memory, bytes);
    return memory;
  }
  void release_pinned(void* memory, std::size_t) noexcept override {
    quietly([&] { call("cudaFreeHost", Where::current(), cudaFreeHost, memory); });
  }

  void begin_capture(const Stream& stream, Where where) override {
    throw_deferred();
    use();
    call("cudaStreamBeginCapture", where, cudaStreamBeginCapture, handle_of(stream),
         cudaStreamCaptureModeThreadLocal);
  }
  void* end_capture(const Stream& stream) override {
    use();
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    call("cudaStreamEndCapture", Where::current(), cudaStreamEndCapture, handle_of(stream), &graph);
    const cudaError_t status = cudaGraphInstantiate(&exec, graph, 0);
    call("cudaGraphDestroy", Where::current(), cudaGraphDestroy, graph);
    check("cudaGraphInstantiate", status, Where::current());
    return exec;
  }
  bool is_capturing(const Stream& stream) override {
    cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    call("cudaStreamIsCapturing", Where::current(), cudaStreamIsCapturing, handle_of(stream),
         &status);
    return status != cudaStreamCaptureStatusNone;
  }
  void launch_graph(void* graph, const Stream& stream, Where where) override {
    throw_deferred();
    use();
    call("cudaGraphLaunch", where, cudaGraphLaunch, static_cast<cudaGraphExec_t>(graph),
         handle_of(stream));
    note_launch(device_, "a graph's replay");
  }
  void destroy_graph(void* graph) noexcept override {
    quietly([&] {
      call("cudaGraphExecDestroy", Where::current(), cudaGraphExecDestroy,
           static_cast<cudaGraphExec_t>(graph));
    });
  }

  void defer(std::exception_ptr error) noexcept override {
    if (!lost_) DeviceBackend::defer(std::move(error));
  }

  void note_released(void* block, std::size_t bytes, const Stream& stream,
                     Where where) noexcept override {
    quietly([&] { note_block_released(block, bytes, handle_of(stream), where); });
  }
  void note_reused(void* block, std::size_t bytes, const Stream& stream, Where where) override {
    note_block_reused(block, bytes, handle_of(stream), where);
  }

  bool watches_bounds() const override { return kSim && sim::watches_bounds(); }

 private:
  void use() const { use_device(device_.index); }

  void check(const char* name, cudaError_t status, const Where& where) const {
    if (status == cudaSuccess) return;
    const bool fatal = ends_the_device(status);
    if (fatal) lost_ = true;
    throw_error(fmt::format("{}: {}{}", name, cudaGetErrorString(status),
                            fatal ? "; " + text_of_the_end(device_) : ""),
                ErrorKind::failure, where);
  }
  template <class Function, class... Arguments>
  void call(const char* name, const Where& where, Function function, Arguments... arguments) const {
    check(name, status_of(where, function, arguments...), where);
  }

  // A lost device has nothing left to give back, and its error has been told.
  template <class Body>
  void quietly(Body body) noexcept {
    if (lost_) return;
    try {
      use();
      body();
    } catch (...) {
      DeviceBackend::defer(std::current_exception());
    }
  }

  Device device_;
  mutable std::atomic<bool> lost_ = false;
  std::mutex mutex_;
  std::vector<Stream> idle_;
  cudaDeviceProp properties_{};
  Stream default_;
};

}  // namespace

int gpu_count() {
  static const int count = [] {
    int found = 0;
    return cudaGetDeviceCount(&found) == cudaSuccess ? found : 0;
  }();
  return count;
}

DeviceBackend& gpu_backend(int index) {
  require(index >= 0 && index < gpu_count(), "device: {} expects an index below {}, found {}",
          name(kType), gpu_count(), index);
  // Never destroyed: tensors with static storage may outlive main.
  static auto& all =
      *new std::vector<std::unique_ptr<GpuBackend>>(static_cast<std::size_t>(gpu_count()));
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  auto& found = all[static_cast<std::size_t>(index)];
  if (!found) found = std::make_unique<GpuBackend>(index);
  return *found;
}

}  // namespace convoy::CONVOY_TARGET
