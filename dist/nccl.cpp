// SPDX-License-Identifier: MIT
#include "dist/nccl.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

#include "dist/nccl_handle.h"
#include "dist/nccl_library.h"
#include "dist/nccl_work.h"
#include "dist/operation.h"
#include "dist/patience.h"
#include "runtime/stream.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

// One range of memory that NCCL sees as `world_size` equal parts.
struct Equal {
  std::byte* data;
  std::size_t part_bytes;
  std::byte* part(int rank) const { return data + part_bytes * static_cast<std::size_t>(rank); }
};

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const Nccl& nccl, Store& store, int rank, int world_size, const Device& device,
                   milliseconds timeout, const std::string& prefix)
      : store_(store),
        prefix_(prefix + "/nccl/"),
        rank_(rank),
        world_size_(world_size),
        device_(device),
        timeout_(timeout),
        stream_(device),
        handle_(nccl, timeout) {
    const Event on_this_device(device);  // it becomes the thread's current one: NCCL takes that
    handle_.connect(meet(), rank, world_size);
    watch_ = std::thread([this] { watch(); });
  }

  ~NcclCommunicator() override {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    watch_.join();
    // Where this rank is about to end with an error, or has failed, the others are not waited for.
    if (std::uncaught_exceptions() > 0) return;
    try {
      failure_->throw_if_set();
      handle_.close();
    } catch (const Error&) {  // the others are gone
    }
  }

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "nccl"; }

  Work reduce_scatter(const Tensor& in, const Tensor& out, const Partition& parts) override {
    const Operation operation =
        cut_operation(OperationKind::reduce_scatter, in, out, parts, rank_, world_size_);
    return start(operation, in, out, [&](const std::byte* from, std::byte* to) {
      const std::int64_t part = parts.part();
      if (is_even(parts)) return sum(from, to, part, in.dtype());
      const Tensor scratch = copy_to_scratch(from, parts, in.dtype());
      const Equal equal = equal_parts(scratch, part);
      sum(equal.data, equal.part(rank_), part, in.dtype());
      copy(to, equal.part(rank_), out.count(), in.dtype());
    });
  }

  Work all_gather(const Tensor& in, const Tensor& out, const Partition& parts) override {
    const Operation operation =
        cut_operation(OperationKind::all_gather, in, out, parts, rank_, world_size_);
    return start(operation, in, out, [&](const std::byte* from, std::byte* to) {
      const std::int64_t part = parts.part();
      if (is_even(parts)) return gather(from, to, part, in.dtype());
      const Tensor scratch = make_scratch(parts, in.dtype());
      const Equal equal = equal_parts(scratch, part);
      copy(equal.part(rank_), from, in.count(), in.dtype());
      gather(equal.part(rank_), equal.data, part, in.dtype());
      copy(to, equal.data, out.count(), in.dtype());
    });
  }

  Work all_reduce(const Tensor& in, const Tensor& out, const Partition& parts) override {
    const Operation operation =
        cut_operation(OperationKind::all_reduce, in, out, parts, rank_, world_size_);
    return start(operation, in, out, [&](const std::byte* from, std::byte* to) {
      const std::int64_t part = parts.part();
      const bool even = is_even(parts);
      const Tensor scratch = even ? Tensor() : copy_to_scratch(from, parts, in.dtype());
      const Equal equal = even ? Equal{to, part * size_of(in.dtype())} : equal_parts(scratch, part);
      sum(even ? from : equal.data, equal.part(rank_), part, in.dtype());
      gather(equal.part(rank_), equal.data, part, in.dtype());
      if (!even) copy(to, equal.data, out.count(), in.dtype());
    });
  }

  Work broadcast(const Tensor& data, int root) override {
    const Operation operation = broadcast_operation(data, root, world_size_);
    return start(operation, data, data, [&](const std::byte* from, std::byte* to) {
      handle_.broadcast(from, to, data.count(), data.dtype(), root, stream_.get());
    });
  }

  void barrier() override {
    if (!token_.defined()) token_ = zeros({world_size_}, {DType::i64, device_});
    Work all = Communicator::all_reduce(token_);
    while (!all.has_passed()) std::this_thread::sleep_for(std::chrono::microseconds(50));
  }

 private:
  std::string key(const char* what, int rank) const {
    return fmt::format("{}{}/{}", prefix_, what, rank);
  }

  // NCCL itself does not say who is missing.
  ncclUniqueId meet() {
    ncclUniqueId id{};
    if (rank_ == 0) id = handle_.make_id();
    store_.set(key("id", rank_), std::string(id.internal, sizeof id.internal));
    Patience patience(timeout_);
    for (int rank = 0; rank < world_size_; ++rank) {
      std::optional<std::string> theirs;
      while (!(theirs = store_.get(key("id", rank)))) {
        require(patience.pause(), "nccl: rank {} has not come within {} s", rank,
                in_seconds(timeout_));
      }
      require(theirs->size() == sizeof id.internal,
              "nccl: expects an id of {} bytes from rank {}, found {}", sizeof id.internal, rank,
              theirs->size());
      if (rank == 0) std::memcpy(id.internal, theirs->data(), theirs->size());
    }
    return id;
  }

  bool is_even(const Partition& parts) const { return parts.part() * world_size_ == parts.count(); }
  Tensor make_scratch(const Partition& parts, DType dtype) const {
    return empty({parts.part() * world_size_}, {dtype, device_});
  }
  Tensor copy_to_scratch(const std::byte* from, const Partition& parts, DType dtype) {
    const Tensor scratch = make_scratch(parts, dtype);
    copy(static_cast<std::byte*>(scratch.data()), from, parts.count(), dtype);
    return scratch;
  }
  static Equal equal_parts(const Tensor& whole, std::int64_t part) {
    return {static_cast<std::byte*>(whole.data()), part * size_of(whole.dtype())};
  }
  void copy(std::byte* to, const std::byte* from, std::int64_t count, DType dtype) {
    backend(device_).copy(to, from, count * size_of(dtype), stream_.get());
  }
  void sum(const std::byte* in, std::byte* out, std::int64_t part, DType dtype) {
    handle_.reduce_scatter(in, out, part, dtype, stream_.get());
  }
  void gather(const std::byte* in, std::byte* out, std::int64_t part, DType dtype) {
    handle_.all_gather(in, out, part, dtype, stream_.get());
  }

  // `enqueue` puts the operation on our stream, with the memory of both ends.
  template <class Enqueue>
  Work start(Operation operation, const Tensor& in, const Tensor& out, const Enqueue& enqueue) {
    const std::lock_guard lock(mutex_);
    failure_->throw_if_set();
    operation.number = ++number_;
    require(in.device() == device_, "{}: expects tensors on {}, found {}", operation, device_,
            in.device());
    if (operation.count == 0) return {};
    const Stream callers = current_stream(device_);
    const bool captured = backend(device_).is_capturing(callers);
    auto started = std::make_shared<NcclWork>(operation, in, out, failure_);
    started->come.record(callers);
    started->come.hold(stream_.get());
    try {
      const StreamScope ours(stream_.get());  // memory that is given back waits for our use
      enqueue(static_cast<const std::byte*>(in.data()), static_cast<std::byte*>(out.data()));
    } catch (const std::exception& error) {  // the ranks are out of step
      fail_all(fmt::format("{}: {}", operation, error.what()));
      failure_->throw_if_set();
    }
    out.bump_version();
    started->passed.record(stream_.get());
    // An event of a capture may not be asked whether it has passed.
    if (!captured) started_.push_back(started);
    return Work(std::move(started));
  }

  // Looks at the oldest operation now and then.
  void watch() {
    const milliseconds pause = std::clamp(timeout_ / 50, milliseconds(2), milliseconds(100));
    std::optional<Patience> half, all;
    std::shared_ptr<NcclWork> oldest;
    std::unique_lock lock(mutex_);
    while (!closing_) {
      try {
        while (!started_.empty() && started_.front()->passed.has_passed()) started_.pop_front();
        const auto front = started_.empty() ? nullptr : started_.front();
        if (front != oldest || (front && !front->come.has_passed())) {
          oldest = front;
          half.emplace(timeout_ / 2);
          all.emplace(timeout_);
        }
        if (const std::string error = handle_.error(); !error.empty()) {
          return fail_all(
              fmt::format("nccl: {}: {}", oldest ? to_text(oldest->operation) : "idle", error));
        }
        if (oldest && half && !half->go_on()) {
          store_.set(key("waits", rank_), to_text(oldest->operation));
          half.reset();
        }
        if (oldest && !all->go_on()) {
          return fail_all(fmt::format("{}: has not passed within {} s: {}", oldest->operation,
                                      in_seconds(timeout_), who_is_where(oldest->operation)));
        }
      } catch (const std::exception& error) {
        return fail_all(fmt::format("nccl: {}", error.what()));
      }
      changed_.wait_for(lock, pause);
    }
  }

  // What the others wait for, as their watches have told.
  std::string who_is_where(const Operation& ours) {
    std::string text;
    for (int rank = 0; rank < world_size_; ++rank) {
      if (rank == rank_) continue;
      const auto theirs = store_.get(key("waits", rank));
      if (theirs == to_text(ours)) continue;
      text += fmt::format("{}rank {} {}", text.empty() ? "" : ", ", rank,
                          theirs ? "was last seen at " + *theirs : "has not been seen at any");
    }
    return text.empty() ? "all ranks have come to it" : text;
  }

  // What runs on the device ends, so that nobody waits for it any more.
  void fail_all(const std::string& why) {
    failure_->set(why);
    handle_.abort();
    started_.clear();
  }

  Store& store_;
  const std::string prefix_;
  const int rank_, world_size_;
  const Device device_;
  const milliseconds timeout_;
  const std::shared_ptr<NcclFailure> failure_ = std::make_shared<NcclFailure>();
  OwnedStream stream_;
  Tensor token_;
  std::int64_t number_ = 0;

  std::mutex mutex_;  // over NCCL's calls and what follows
  std::condition_variable changed_;
  NcclHandle handle_;
  std::deque<std::shared_ptr<NcclWork>> started_;
  bool closing_ = false;
  std::thread watch_;
};

}  // namespace

std::unique_ptr<Communicator> nccl_communicator(Store& store, int rank, int world_size,
                                                const Device& device, milliseconds timeout,
                                                const std::string& prefix) {
  const Nccl* const nccl = nccl_library();
  require(nccl != nullptr, "nccl: {}", why_no_nccl());
  require(device.type != DeviceType::cpu, "nccl: expects a GPU, found {}", device);
  return std::make_unique<NcclCommunicator>(*nccl, store, rank, world_size, device, timeout,
                                            prefix);
}

}  // namespace convoy::dist
