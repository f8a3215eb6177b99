// SPDX-License-Identifier: MIT
#include "apps/kbench/timing.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "kernels/copy.h"
#include "runtime/graph.h"
#include "runtime/seconds.h"
#include "runtime/tensor.h"

namespace convoy::kbench {
namespace {

using Clock = std::chrono::steady_clock;

// Seconds that the work takes, by the clock that fits the device.
class Stopwatch {
 public:
  explicit Stopwatch(const Device& device) : backend_(backend(device)), device_(device) {
    if (device.type != DeviceType::cuda) return;
    begin_ = backend_.create_timing_event();
    end_ = backend_.create_timing_event();
  }
  ~Stopwatch() {
    if (begin_ == nullptr) return;
    backend_.destroy_event(begin_);
    backend_.destroy_event(end_);
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

  template <class Work>
  double time(Work work) {
    const Stream stream = current_stream(device_);
    if (begin_ == nullptr) {
      const Clock::time_point begin = Clock::now();
      work();
      return seconds_since(begin);
    }
    backend_.record(begin_, stream);
    work();
    backend_.record(end_, stream);
    backend_.synchronize_event(end_);
    return backend_.seconds_between(begin_, end_);
  }

 private:
  DeviceBackend& backend_;
  Device device_;
  void* begin_ = nullptr;
  void* end_ = nullptr;
};

// Events of the device's own clock.
class Marks {
 public:
  explicit Marks(DeviceBackend& backend) : backend_(backend) {}
  ~Marks() {
    for (void* event : events_) backend_.destroy_event(event);
  }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;

  void add(const Stream& stream) {
    events_.push_back(backend_.create_timing_event());
    backend_.record(events_.back(), stream);
  }
  void await(std::size_t i) { backend_.synchronize_event(events_[i]); }
  std::vector<double> seconds_between() const {
    std::vector<double> all;
    for (std::size_t i = 1; i < events_.size(); ++i) {
      all.push_back(backend_.seconds_between(events_[i - 1], events_[i]));
    }
    return all;
  }

 private:
  DeviceBackend& backend_;
  std::vector<void*> events_;
};

constexpr double kRepeatSeconds = 4e-3;
constexpr int kMostLaunches = 200;

// One repeat's launches as a graph; null where the device or a launch does not take it.
std::unique_ptr<Graph> capture(const Device& device, const std::function<void()>& launches) {
  if (device.type != DeviceType::cuda) return nullptr;
  try {
    auto graph = std::make_unique<Graph>(device);
    graph->run(launches);
    graph->capture(launches);
    return graph;
  } catch (const Error&) {
    return nullptr;  // launched one by one then; the result says so
  }
}

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

}  // namespace

double Times::median() const { return middle(seconds); }
double Times::least() const {
  return seconds.empty() ? 0 : *std::min_element(seconds.begin(), seconds.end());
}

std::vector<double> time_back_to_back(DeviceBackend& backend, const Stream& stream, int repeats,
                                      const std::function<void()>& work,
                                      const std::function<bool(int)>& enough) {
  Marks marks(backend);
  work();  // what the first mark is enqueued behind
  marks.add(stream);
  for (int i = 0; i < repeats && !enough(i); ++i) {
    work();
    marks.add(stream);
    marks.await(static_cast<std::size_t>(i));
  }
  backend.synchronize(stream);
  return marks.seconds_between();
}

std::optional<Times> measure(const Device& device, int sets,
                             const std::function<void(int set)>& launch,
                             const TimingOptions& options) {
  if (device.type == DeviceType::sim) return std::nullopt;
  const Clock::time_point begin = Clock::now();
  Stopwatch watch(device);
  double one = watch.time([&] { launch(0); });
  for (int i = 0; i < options.warmup && seconds_since(begin) < options.max_seconds; ++i) {
    one = std::min(one, watch.time([&] { launch((i + 1) % sets); }));
  }
  Times times;
  // No fewer than sets: those that a repeat leaves out would be no help against the caches.
  times.launches =
      std::clamp(static_cast<int>(kRepeatSeconds / std::max(one, 1e-7)), sets, kMostLaunches);
  const auto launches = [&] {
    for (int i = 0; i < times.launches; ++i) launch(i % sets);
  };
  const auto graph = capture(device, launches);
  times.graph = graph != nullptr;
  backend(device).synchronize(current_stream(device));
  const auto enough = [&](int i) { return i >= 3 && seconds_since(begin) > options.max_seconds; };
  const auto repeat = [&] { graph ? graph->replay() : launches(); };
  if (device.type == DeviceType::cuda) {
    times.seconds =
        time_back_to_back(backend(device), current_stream(device), options.repeats, repeat, enough);
  } else {
    for (int i = 0; i < options.repeats && !enough(i); ++i) {
      times.seconds.push_back(watch.time(repeat));
    }
  }
  for (double& seconds : times.seconds) seconds /= times.launches;
  return times;
}

// GPUs have some 50 MB; processors up to hundreds.
std::size_t beyond_cache(const Device& device) {
  const std::size_t least = std::size_t{128} << 20, most = std::size_t{1} << 30;
  if (device.type != DeviceType::cpu) return least;
  const long last_level = sysconf(_SC_LEVEL3_CACHE_SIZE);
  return std::clamp(2 * static_cast<std::size_t>(std::max(last_level, 0L)), least, most);
}

// By as many threads as kernels have: on cpu a backend's copy has one.
double copy_bandwidth(const Device& device, std::size_t bytes, const TimingOptions& options) {
  const auto count = static_cast<std::int64_t>(bytes);
  const Tensor from = zeros({count}, {DType::u8, device}), to = empty({count}, {DType::u8, device});
  const auto times = measure(
      device, 1,
      [&](int) {
        const Stream stream = current_stream(device);
        if (device.type != DeviceType::cpu) {
          return backend(device).copy(to.data(), from.data(), bytes, stream);
        }
        run(Copy{{count}, {1}, {1}, from.data(), to.data(), DType::u8}, {}, nullptr, stream);
      },
      options);
  return times ? 2 * static_cast<double>(bytes) / times->median() : 0;
}

}  // namespace convoy::kbench
