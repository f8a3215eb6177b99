// SPDX-License-Identifier: MIT
#pragma once
// A communicator of one process that pretends to be rank `rank` of `world_size` equal ones: sums
// are the numbers times world_size. It works on a thread of its own, one operation after another,
// takes `delay` for each, and keeps what it was asked for.

#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "dist/communicator.h"
#include "runtime/profiler.h"

namespace convoy::dist {

class RecordingCommunicator final : public Communicator {
 public:
  struct Asked {
    std::string operation;
    std::int64_t count;
    const void* data;
  };

  RecordingCommunicator(int rank, int world_size, std::chrono::milliseconds delay = {})
      : rank_(rank), world_size_(world_size), delay_(delay) {}
  ~RecordingCommunicator() override { last_.wait(); }

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "recording"; }

  Work reduce_scatter(const Tensor& in, const Tensor& out, const Partition& parts) override {
    const Range own = parts.of(rank_);
    return start("reduce_scatter", in, [this, in, out, own] {
      for (std::int64_t i = 0; i < own.count(); ++i) {
        out.as<float>()[i] = in.as<float>()[own.begin + i] * static_cast<float>(world_size_);
      }
    });
  }
  Work all_gather(const Tensor&, const Tensor& out, const Partition&) override {
    return start("all_gather", out, [] {});
  }
  Work all_reduce(const Tensor& in, const Tensor& out, const Partition&) override {
    return start("all_reduce", in, [this, in, out] {
      for (std::int64_t i = 0; i < in.count(); ++i) {
        out.as<float>()[i] = in.as<float>()[i] * static_cast<float>(world_size_);
      }
    });
  }
  Work broadcast(const Tensor& data, int) override {
    return start("broadcast", data, [] {});
  }
  void barrier() override {}

  const std::vector<Asked>& asked() const { return asked_; }

 private:
  struct Future final : Work::State {
    std::shared_future<void> future;
    void wait() override { future.get(); }
    bool has_passed() override {
      return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    }
  };

  template <class F>
  Work start(const char* operation, const Tensor& on, F work) {
    asked_.push_back({operation, on.count(), on.data()});
    const Device device = on.device();
    last_ = std::async(std::launch::async, [this, work, before = last_, operation, device] {
              if (before.valid()) before.wait();
              const ProfileSpan span(operation, device);
              std::this_thread::sleep_for(delay_);
              work();
            }).share();
    auto state = std::make_shared<Future>();
    state->future = last_;
    return Work(state);
  }

  int rank_, world_size_;
  std::chrono::milliseconds delay_;
  std::vector<Asked> asked_;
  std::shared_future<void> last_ = ready();
  static std::shared_future<void> ready() {
    std::promise<void> p;
    p.set_value();
    return p.get_future().share();
  }
};

}  // namespace convoy::dist
