// SPDX-License-Identifier: MIT
#include "dist/gloo_engine.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "dist/sum.h"
#include "runtime/profiler.h"

namespace convoy::dist {
namespace {

// What is summed, and on its way, at a time from each rank; twice this is kept for each.
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;

}  // namespace

class GlooEngine::Messages {
 public:
  explicit Messages(Peers& peers) : peers_(peers), notes_(peers.world_size()) {}

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

GlooEngine::GlooEngine(Peers& peers) : messages_(std::make_unique<Messages>(peers)) {}
GlooEngine::~GlooEngine() = default;
void GlooEngine::run(const Job& job) { messages_->run(job); }

}  // namespace convoy::dist
