// SPDX-License-Identifier: MIT
#pragma once
// One rank's connections with all others, by Gloo: messages between two ranks arrive in the order
// in which they were sent, each once its receiver has given memory for it. What fails names the
// rank that it is due to: one that gives up tells the others why before it closes, so that they do
// not blame it for a third one's silence.

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "dist/patience.h"
#include "dist/store.h"

namespace gloo::transport {
class Context;
class Device;
class UnboundBuffer;
}  // namespace gloo::transport

namespace convoy::dist {

// The reason alone: "rank 1 has said nothing for 5 s". Whoever catches it says during what.
struct PeerError : std::runtime_error {
  PeerError(int rank, const std::string& why) : std::runtime_error(why), culprit(rank) {}
  int culprit;
};

class Peers {
 public:
  // Throws Error when a rank does not come, or cannot be reached, in time.
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
  struct Farewell;
  struct Peer;

  void connect(Store& store, const std::string& prefix);
  void await(Channel& channel, bool sent);
  bool interrupted();
  bool has_passed(Channel& channel, bool sent);
  bool look(Channel& channel, bool sent);
  void await_next_round(gloo::transport::UnboundBuffer* awaited);
  [[noreturn]] void give_up_on_closed(int peer);
  using Listen = std::function<const Farewell*(int peer, Clock::time_point deadline)>;
  PeerError find_culprit(PeerError suspicion, const Listen& listen);
  PeerError find_culprit(const PeerError& suspicion);
  PeerError hear_others(const PeerError& suspicion);
  const Farewell* await_farewell(int peer, Clock::time_point deadline);
  [[noreturn]] void throw_unreachable(Store& store, const std::string& prefix, int peer);
  void say_farewell(const PeerError& why) noexcept;
  void close() noexcept;
  void watch(const std::stop_token& stop);

  const int rank_, world_size_;
  const std::chrono::milliseconds timeout_;
  std::shared_ptr<gloo::transport::Device> device_;
  std::shared_ptr<gloo::transport::Context> context_;
  std::vector<std::unique_ptr<Peer>> others_;  // by rank; ours is null
  bool said_farewell_ = false;

  // The wait under way, for the thread that makes it look around.
  std::mutex mutex_;
  std::condition_variable changed_;
  gloo::transport::UnboundBuffer* awaited_ = nullptr;
  bool interrupted_ = false;
  std::jthread watch_;  // last: it uses all of the above
};

}  // namespace convoy::dist
