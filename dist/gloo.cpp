// SPDX-License-Identifier: MIT
#include "dist/gloo.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <span>

#include "dist/address.h"
#include "dist/gloo_engine.h"
#include "runtime/stream.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

class Pending final : public Work::State {
 public:
  Pending(Job job, Tensor in, Tensor out)
      : job_(std::move(job)),
        in_(std::move(in)),
        out_(std::move(out)),
        passed_(promise_.get_future()) {
    if (!in_.defined()) return;
    const Stream stream = current_stream(in_.device());
    written_.emplace(in_.device());
    written_->record(stream);
  }

  // The operation reads what the caller's stream had written by then.
  const Job& job() const {
    if (written_) written_->synchronize();
    return job_;
  }
  const Operation& operation() const { return job_.operation; }
  void pass() { promise_.set_value(); }
  void fail_with(std::exception_ptr error) { promise_.set_exception(std::move(error)); }

  void wait() override { passed_.get(); }
  bool has_passed() override {
    return passed_.wait_for(milliseconds(0)) == std::future_status::ready;
  }

 private:
  Job job_;
  Tensor in_, out_;  // kept alive
  std::optional<Event> written_;
  std::promise<void> promise_;
  std::shared_future<void> passed_;
};

class GlooCommunicator final : public Communicator {
 public:
  GlooCommunicator(Store& store, int rank, int world_size, milliseconds timeout,
                   const std::string& prefix, const std::string& address)
      : rank_(rank), world_size_(world_size) {
    std::promise<void> connected;
    std::future<void> result = connected.get_future();
    thread_ = std::thread([&, prefix, address] {
      std::unique_ptr<Peers> peers;
      try {
        peers = std::make_unique<Peers>(store, rank, world_size, timeout, prefix, address);
        peers_ = peers.get();
      } catch (const PeerError& error) {
        connected.set_exception(
            std::make_exception_ptr(Error(fmt::format("gloo: {}", error.what()))));
        return;
      } catch (...) {
        connected.set_exception(std::current_exception());
        return;
      }
      connected.set_value();
      work(*peers);
    });
    try {
      result.get();
    } catch (...) {
      thread_.join();
      throw;
    }
  }

  ~GlooCommunicator() override {
    peers_->interrupt();  // while the thread, which owns them, cannot end
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    added_.notify_all();
    thread_.join();
  }

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "gloo"; }

  Work reduce_scatter(const Tensor& in, const Tensor& out, const Partition& parts) override {
    return start(OperationKind::reduce_scatter, in, out, parts);
  }
  Work all_gather(const Tensor& in, const Tensor& out, const Partition& parts) override {
    return start(OperationKind::all_gather, in, out, parts);
  }
  Work all_reduce(const Tensor& in, const Tensor& out, const Partition& parts) override {
    return start(OperationKind::all_reduce, in, out, parts);
  }
  Work broadcast(const Tensor& data, int root) override {
    return start(broadcast_operation(data, root, world_size_), data, data,
                 Partition(data.count(), world_size_));
  }
  void barrier() override { start(Operation{}, {}, {}, Partition(0, world_size_)).wait(); }

 private:
  Work start(OperationKind kind, const Tensor& in, const Tensor& out, const Partition& parts) {
    return start(cut_operation(kind, in, out, parts, rank_, world_size_), in, out, parts);
  }

  Work start(Operation operation, const Tensor& in, const Tensor& out, const Partition& parts) {
    operation.number = ++number_;
    Job job{operation, parts, nullptr, nullptr};
    if (in.defined()) {
      require(in.device().type != DeviceType::cuda, "{}: expects host memory, found a tensor on {}",
              operation, in.device());
      DeviceBackend& device = backend(in.device());
      require(!device.is_capturing(current_stream(in.device())),
              "{}: expects to run beside a graph, found its stream in capture", operation);
      job.in = static_cast<const std::byte*>(in.data());
      job.out = static_cast<std::byte*>(out.data());
      out.bump_version();
    }
    auto pending = std::make_shared<Pending>(job, in, out);
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(pending);
    }
    added_.notify_one();
    return Work(std::move(pending));
  }

  std::shared_ptr<Pending> next() {
    std::unique_lock lock(mutex_);
    added_.wait(lock, [&] { return closing_ || !queue_.empty(); });
    if (queue_.empty()) return nullptr;
    auto pending = queue_.front();
    queue_.pop_front();
    return pending;
  }

  // The first failure ends all: what was asked for later fails for the same reason.
  void work(Peers& peers) {
    GlooEngine engine(peers);
    PeerError reason(rank_, fmt::format("rank {} has closed its communicator", rank_));
    bool failed = false;
    while (const std::shared_ptr<Pending> pending = next()) {
      if (!failed) {
        try {
          engine.run(pending->job());
          pending->pass();
          continue;
        } catch (const PeerError& error) {
          reason = error;
        } catch (const std::exception& error) {
          reason = PeerError(rank_, fmt::format("rank {} has failed: {}", rank_, error.what()));
        }
        failed = true;
        peers.leave(reason);
      }
      pending->fail_with(std::make_exception_ptr(
          Error(fmt::format("{}: {}", pending->operation(), reason.what()))));
    }
    if (!failed) peers.leave(reason);
  }

  const int rank_, world_size_;
  std::int64_t number_ = 0;
  Peers* peers_ = nullptr;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::shared_ptr<Pending>> queue_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Communicator> gloo_communicator(Store& store, int rank, int world_size,
                                                milliseconds timeout, const std::string& prefix,
                                                const std::string& address) {
  require(world_size >= 1 && rank >= 0 && rank < world_size,
          "gloo: expects a rank below the world size, found {} of {}", rank, world_size);
  const char* const master = std::getenv("MASTER_ADDR");
  const std::string from =
      address.empty() ? address_towards(master == nullptr ? "127.0.0.1" : master) : address;
  return std::make_unique<GlooCommunicator>(store, rank, world_size, timeout, prefix, from);
}

}  // namespace convoy::dist
