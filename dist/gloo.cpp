// SPDX-License-Identifier: MIT
#include "dist/gloo.h"

#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <future>
#include <span>

#include "dist/operation.h"
#include "dist/peers.h"
#include "dist/sum.h"
#include "runtime/profiler.h"
#include "runtime/stream.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

// What is summed, and on its way, at a time from each rank; twice this is kept for each.
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

// One operation's memory, as the thread that runs it sees it.
struct Job {
  Operation operation;
  Partition parts;
  const std::byte* in;
  std::byte* out;

  std::size_t bytes(std::int64_t count) const { return count * size_of(operation.dtype); }
  std::size_t begin(int rank) const { return bytes(parts.of(rank).begin); }
  std::size_t length(int rank) const { return bytes(parts.of(rank).count()); }
};

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

// Runs operations, each by messages between every two ranks, in one thread.
class Engine {
 public:
  explicit Engine(Peers& peers) : peers_(peers), notes_(peers.world_size()) {}

  void run(const Job& job) {
    const ProfileSpan span(name(job.operation.kind), Device{});
    if (job.operation.kind == OperationKind::all_reduce &&
        job.bytes(job.operation.count) <= Peers::kNoteBytes - kNumbersAt) {
      return all_reduce_few(job);
    }
    agree(job.operation);
    switch (job.operation.kind) {
      case OperationKind::reduce_scatter:
        return reduce_scatter(job, job.out);
      case OperationKind::all_gather:
        return all_gather(job, job.in);
      case OperationKind::all_reduce: {
        std::byte* const part = job.out + job.begin(peers_.rank());
        reduce_scatter(job, part);
        return all_gather(job, part);
      }
      case OperationKind::broadcast:
        return broadcast(job);
      case OperationKind::barrier:
        return;
    }
  }

 private:
  using Channel = Peers::Channel;
  static constexpr std::size_t kNumbersAt = 64;  // in a note, after the operation

  // All ranks tell what they are about to do. Few enough numbers travel along.
  void agree(const Operation& mine, std::span<const std::byte> numbers = {}) {
    static_assert(sizeof(Operation) <= kNumbersAt && std::is_trivially_copyable_v<Operation>);
    Peers::Note& note = notes_[peers_.rank()];
    std::memcpy(note.data(), &mine, sizeof mine);
    if (!numbers.empty()) std::memcpy(note.data() + kNumbersAt, numbers.data(), numbers.size());
    peers_.exchange(note, [&](int rank, const Peers::Note& found) {
      Operation theirs;
      std::memcpy(&theirs, found.data(), sizeof theirs);
      if (!(theirs == mine)) throw PeerError(rank, disagreement(mine, rank, theirs));
      notes_[rank] = found;
    });
  }

  // A norm, a flag: one message instead of three. Summed by every rank, in the same order.
  void all_reduce_few(const Job& job) {
    agree(job.operation, {job.in, job.bytes(job.operation.count)});
    std::vector<const void*> sources;
    for (const Peers::Note& note : notes_) sources.push_back(note.data() + kNumbersAt);
    sum_in_order(job.operation.dtype, sources, job.out, job.operation.count);
  }

  template <class Use>
  void each_peer(const Use& use) {
    for (int rank = 0; rank < peers_.world_size(); ++rank) {
      if (rank != peers_.rank()) use(rank);
    }
  }

  // In chunks, so that a rank is heard of while a long message passes.
  template <class Start>
  static void in_chunks(std::size_t bytes, const Start& start) {
    for (std::size_t at = 0; at < bytes; at += kChunkBytes) {
      start(at, std::min(kChunkBytes, bytes - at));
    }
  }
  static void await_all_sent(std::vector<Channel>& channels,
                             const std::vector<std::size_t>& bytes) {
    for (std::size_t i = 0; i < channels.size(); ++i) {
      in_chunks(bytes[i], [&](std::size_t, std::size_t) { channels[i].await_sent(); });
    }
  }

  // Everybody sends part r to rank r, which sums the chunks in the order of the ranks while the
  // next ones arrive.
  void reduce_scatter(const Job& job, std::byte* out) {
    const int me = peers_.rank();
    std::vector<Channel> sending;
    std::vector<std::size_t> sizes;
    make_scratch();
    each_peer([&](int rank) {
      const std::size_t bytes = job.length(rank);
      sending.emplace_back(peers_, rank, job.in + job.begin(rank), bytes);
      sizes.push_back(bytes);
      in_chunks(bytes, [&](std::size_t at, std::size_t size) { sending.back().send(at, size); });
    });
    const std::size_t length = job.length(me);
    const auto receive = [&](int rank, std::size_t at) {
      if (at >= length) return;
      receiving_[rank]->receive(half(at), std::min(kChunkBytes, length - at));
    };
    each_peer([&](int rank) {
      receive(rank, 0);
      receive(rank, kChunkBytes);
    });
    std::vector<const void*> sources(peers_.world_size());
    in_chunks(length, [&](std::size_t at, std::size_t size) {
      sources[me] = job.in + job.begin(me) + at;
      each_peer([&](int rank) {
        receiving_[rank]->await_received();
        sources[rank] = scratch_[rank].data() + half(at);
      });
      sum_in_order(job.operation.dtype, sources, out + at,
                   static_cast<std::int64_t>(size / size_of(job.operation.dtype)));
      each_peer([&](int rank) { receive(rank, at + 2 * kChunkBytes); });
    });
    await_all_sent(sending, sizes);
  }

  // Every rank's part goes to all others, straight to where it belongs.
  void all_gather(const Job& job, const std::byte* part) {
    const int me = peers_.rank();
    std::vector<Channel> sending, receiving;
    each_peer([&](int rank) {
      receiving.emplace_back(peers_, rank, job.out + job.begin(rank), job.length(rank));
      in_chunks(job.length(rank),
                [&](std::size_t at, std::size_t size) { receiving.back().receive(at, size); });
    });
    each_peer([&](int rank) {
      sending.emplace_back(peers_, rank, part, job.length(me));
      in_chunks(job.length(me),
                [&](std::size_t at, std::size_t size) { sending.back().send(at, size); });
    });
    std::byte* const mine = job.out + job.begin(me);
    if (mine != part && job.length(me) > 0) std::memcpy(mine, part, job.length(me));
    for (Channel& channel : receiving) {
      in_chunks(job.length(channel.peer()),
                [&](std::size_t, std::size_t) { channel.await_received(); });
    }
    await_all_sent(sending, std::vector(sending.size(), job.length(me)));
  }

  void broadcast(const Job& job) {
    const std::size_t bytes = job.bytes(job.operation.count);
    if (peers_.rank() != job.operation.root) {
      Channel from(peers_, job.operation.root, job.out, bytes);
      in_chunks(bytes, [&](std::size_t at, std::size_t size) { from.receive(at, size); });
      in_chunks(bytes, [&](std::size_t, std::size_t) { from.await_received(); });
      return;
    }
    std::vector<Channel> sending;
    each_peer([&](int rank) {
      sending.emplace_back(peers_, rank, job.in, bytes);
      in_chunks(bytes, [&](std::size_t at, std::size_t size) { sending.back().send(at, size); });
    });
    await_all_sent(sending, std::vector(sending.size(), bytes));
  }

  static std::size_t half(std::size_t at) { return at / kChunkBytes % 2 * kChunkBytes; }

  void make_scratch() {
    if (!scratch_.empty()) return;
    scratch_.resize(peers_.world_size());
    receiving_.resize(peers_.world_size());
    each_peer([&](int rank) {
      scratch_[rank].resize(2 * kChunkBytes);
      receiving_[rank].emplace(peers_, rank, scratch_[rank].data(), 2 * kChunkBytes);
    });
  }

  Peers& peers_;
  std::vector<Peers::Note> notes_;                 // by rank
  std::vector<std::vector<std::byte>> scratch_;    // by rank, two chunks each
  std::vector<std::optional<Channel>> receiving_;  // into them
};

class GlooCommunicator final : public Communicator {
 public:
  GlooCommunicator(Store& store, int rank, int world_size, milliseconds timeout,
                   const std::string& prefix, const std::string& address)
      : rank_(rank), world_size_(world_size) {
    std::promise<void> connected;
    std::future<void> result = connected.get_future();
    thread_ = std::thread([&, prefix, address] {
      block_sigpipe();
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

  // A write to a connection that is gone is an error here, and not the program's end.
  static void block_sigpipe() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
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
    Engine engine(peers);
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

std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int error = getaddrinfo(host.c_str(), "9", &hints, &found);
  require(error == 0, "gloo: expects the address of a machine, found {}: {}", host,
          gai_strerror(error));
  char text[NI_MAXHOST] = "";
  for (const addrinfo* at = found; at != nullptr && text[0] == '\0'; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) continue;
    sockaddr_storage ours{};
    socklen_t length = sizeof ours;
    const auto address = reinterpret_cast<sockaddr*>(&ours);
    if (connect(socket, at->ai_addr, at->ai_addrlen) == 0 &&
        getsockname(socket, address, &length) == 0) {
      getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    }
    close(socket);
  }
  freeaddrinfo(found);
  require(text[0] != '\0', "gloo: expects a machine that can be reached, found no way to {}", host);
  return text;
}

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
