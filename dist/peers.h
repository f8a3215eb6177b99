// SPDX-License-Identifier: MIT
#pragma once
// One rank's connections with all others, by Gloo: messages between two ranks arrive in the order
// in which they were sent, each once its receiver has given memory for it. What fails names the
// rank that it is due to: one that gives up tells the others why before it closes, so that they do
// not blame it for a third one's silence.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dist/blame.h"
#include "dist/gloo_connect.h"
#include "dist/gloo_wait.h"
#include "dist/store.h"

namespace convoy::dist {

class Peers {
 public:
  // Throws Error when a rank does not come, PeerError when one cannot be reached, in time. Blocks
  // SIGPIPE in this thread, the only one that may send.
  Peers(Store& store, int rank, int world_size, std::chrono::milliseconds timeout,
        const std::string& prefix, const std::string& address);
  ~Peers();
  Peers(const Peers&) = delete;
  Peers& operator=(const Peers&) = delete;

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }

  // Memory that goes to, or comes from, one other rank. Must be gone, or its messages awaited,
  // before the memory is.
  class Channel {
   public:
    Channel(Peers& peers, int peer, const void* memory, std::size_t bytes);
    ~Channel();
    Channel(Channel&&) noexcept;
    int peer() const { return peer_; }
    // Start a message. Empty ones are not sent.
    void send(std::size_t offset, std::size_t bytes);
    void receive(std::size_t offset, std::size_t bytes);
    // Return when one more of those that were started has passed.
    void await_sent();
    void await_received();

   private:
    friend class Peers;
    Peers* peers_;
    int peer_;
    std::uint64_t slot_;
    std::unique_ptr<gloo::transport::UnboundBuffer> buffer_;
    int sends_ = 0, receives_ = 0;  // under way
  };

  // Sends `mine` to every rank, and gives `take` what each of the others has sent, as it comes.
  static constexpr std::size_t kNoteBytes = 256;
  struct alignas(64) Note : std::array<std::byte, kNoteBytes> {};
  void exchange(const Note& mine, const std::function<void(int rank, const Note&)>& take);

  // Tells the others why, if they have not been told, and closes. Waits a moment for them to leave
  // too: what was sent to them may still be on its way.
  void leave(const PeerError& why) noexcept;
  // From another thread: what waits, or begins to, throws PeerError.
  void interrupt() noexcept;

 private:
  using Clock = Patience::Clock;
  struct Peer;

  void await(Channel& channel, bool sent);
  bool has_passed(Channel& channel, bool sent);
  bool look(Channel& channel, bool sent);
  [[noreturn]] void give_up_on_closed(int peer);
  PeerError find_culprit(const PeerError& suspicion);
  PeerError hear_others(const PeerError& suspicion);
  const Farewell* await_farewell(int peer, Clock::time_point deadline);
  void say_farewell(const PeerError& why) noexcept;
  void close() noexcept;

  const int rank_, world_size_;
  const std::chrono::milliseconds timeout_;
  GlooConnections connected_;
  std::vector<std::unique_ptr<Peer>> others_;  // by rank; ours is null
  bool said_farewell_ = false;
  std::optional<GlooWait> wait_;
};

}  // namespace convoy::dist
