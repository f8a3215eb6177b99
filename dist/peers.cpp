// SPDX-License-Identifier: MIT
#include "dist/peers.h"

#include <gloo/transport/context.h>

#include <algorithm>
#include <utility>

#include "dist/patience.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

// What Gloo calls slots: a message goes to the receiver's next memory of the same slot.
constexpr std::uint64_t kData = 0, kNotes = 1, kFarewells = 2, kNothing = 3;

// How long a farewell may take to go out, and how long one that sees a connection end listens what
// the others know.
constexpr milliseconds kFlush{300}, kHearsay{100};

std::string seconds(milliseconds time) { return fmt::format("{} s", in_seconds(time)); }

}  // namespace

// What is kept for each other rank. Memory for its next note and its farewell is given in advance,
// so both arrive whatever this rank is doing.
struct Peers::Peer {
  Peer(Peers& peers, int rank)
      : notes_in(peers, rank, &note_in, sizeof note_in),
        notes_out(peers, rank, &note_out, sizeof note_out),
        farewells_in(peers, rank, &farewell_in, sizeof farewell_in),
        farewells_out(peers, rank, &farewell_out, sizeof farewell_out),
        nothing_in(peers, rank, &byte_in, sizeof byte_in) {
    notes_in.slot_ = notes_out.slot_ = kNotes;
    farewells_in.slot_ = farewells_out.slot_ = kFarewells;
    nothing_in.slot_ = kNothing;
    nothing_in.receive(0, sizeof byte_in);
    expect_note();
    farewells_in.receive(0, sizeof farewell_in);
  }
  void expect_note() {
    if (notes_in.receives_ == 0) notes_in.receive(0, sizeof note_in);
  }

  // Nobody sends what nothing_in expects.
  bool is_connected() { return is_open(*nothing_in.buffer_); }

  Note note_in{}, note_out{};
  Farewell farewell_in, farewell_out;
  std::byte byte_in{};
  bool has_said_farewell = false;
  Channel notes_in, notes_out, farewells_in, farewells_out, nothing_in;
};

Peers::Channel::Channel(Peers& peers, int peer, const void* memory, std::size_t bytes)
    : peers_(&peers),
      peer_(peer),
      slot_(kData),
      buffer_(peers.connected_.context->createUnboundBuffer(const_cast<void*>(memory), bytes)) {}
Peers::Channel::~Channel() = default;
Peers::Channel::Channel(Channel&&) noexcept = default;

void Peers::Channel::send(std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  try {
    buffer_->send(peer_, slot_, offset, bytes);
  } catch (const std::exception&) {
    peers_->give_up_on_closed(peer_);
  }
  ++sends_;
}

void Peers::Channel::receive(std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  try {
    buffer_->recv(peer_, slot_, offset, bytes);
  } catch (const std::exception&) {
    peers_->give_up_on_closed(peer_);
  }
  ++receives_;
}

void Peers::Channel::await_sent() {
  if (sends_ == 0) return;
  peers_->await(*this, true);
  --sends_;
}

void Peers::Channel::await_received() {
  if (receives_ == 0) return;
  peers_->await(*this, false);
  --receives_;
}

Peers::Peers(Store& store, int rank, int world_size, milliseconds timeout,
             const std::string& prefix, const std::string& address)
    : rank_(rank), world_size_(world_size), timeout_(timeout) {
  others_.resize(world_size);
  if (world_size == 1) return;
  connected_ = connect_by_gloo(store, rank, world_size, timeout, prefix, address);
  wait_.emplace(std::clamp(timeout / 8, milliseconds(1), milliseconds(100)));
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer != rank) others_[peer] = std::make_unique<Peer>(*this, peer);
  }
}

Peers::~Peers() {
  wait_.reset();
  close();
}

// What the connections still have to write goes out, unless a peer writes to us.
void Peers::close() noexcept {
  if (!connected_.context) return;
  for (int peer = 0; peer < world_size_; ++peer) connected_.context->getPair(peer).reset();
}

void Peers::exchange(const Note& mine, const std::function<void(int, const Note&)>& take) {
  for (const auto& other : others_) {
    if (!other) continue;
    other->expect_note();
    other->note_out = mine;
    other->notes_out.send(0, sizeof mine);
  }
  for (const auto& other : others_) {
    if (!other) continue;
    other->notes_in.await_received();
    take(other->notes_in.peer(), other->note_in);
  }
  for (const auto& other : others_) {
    if (!other) continue;
    other->notes_out.await_sent();
    try {
      other->expect_note();
    } catch (const PeerError&) {  // it has left since: the next exchange will find out
    }
  }
}

void Peers::await(Channel& channel, bool sent) {
  const int peer = channel.peer();
  bool passed = false;
  try {
    passed = has_passed(channel, sent);
  } catch (const std::exception&) {
    give_up_on_closed(peer);
  }
  if (passed) return;
  if (wait_->is_interrupted()) {
    const PeerError why(rank_, fmt::format("rank {} has closed its communicator", rank_));
    say_farewell(why);
    throw why;
  }
  const PeerError suspicion(
      peer, fmt::format("rank {} has said nothing for {}", peer, seconds(timeout_)));
  say_farewell(suspicion);
  throw find_culprit(suspicion);
}

void Peers::give_up_on_closed(int peer) {
  PeerError why = find_culprit({peer, fmt::format("rank {} has closed the connection", peer)});
  if (!others_[peer] || !others_[peer]->has_said_farewell) why = hear_others(why);
  say_farewell(why);
  throw why;
}

// One that closes without a word was killed, or has left because of a third and its farewell was
// lost with the connection: then somebody else may know of that third.
PeerError Peers::hear_others(const PeerError& suspicion) {
  const Clock::time_point deadline = Clock::now() + kHearsay;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_ || peer == suspicion.culprit) continue;
    const Farewell* const said = await_farewell(peer, deadline);
    if (said == nullptr || said->culprit == suspicion.culprit || said->culprit == rank_) continue;
    return as_told(*said, peer);
  }
  return suspicion;
}

// False when it has lasted longer than the timeout, or was interrupted. What had passed before the
// connection's end counts, but a look that was cut short may miss it: two may not.
bool Peers::has_passed(Channel& channel, bool sent) {
  int looks_after_its_end = 0;
  for (Patience patience(timeout_); patience.go_on() && !wait_->is_interrupted();) {
    if (look(channel, sent)) return true;
    if (!others_[channel.peer()]->is_connected() && ++looks_after_its_end == 2) {
      throw std::runtime_error("the connection has ended");
    }
  }
  return false;
}

bool Peers::look(Channel& channel, bool sent) {
  return sent ? wait_->for_sent(*channel.buffer_) : wait_->for_received(*channel.buffer_);
}

void Peers::interrupt() noexcept {
  if (wait_) wait_->interrupt();
}

PeerError Peers::find_culprit(const PeerError& suspicion) {
  return dist::find_culprit(
      suspicion, rank_, world_size_,
      [this](int peer, Clock::time_point deadline) { return await_farewell(peer, deadline); });
}

const Farewell* Peers::await_farewell(int peer, Clock::time_point deadline) {
  if (!others_[peer]) return nullptr;  // not connected yet
  Peer& other = *others_[peer];
  try {
    do {
      other.has_said_farewell = other.has_said_farewell || look(other.farewells_in, false);
    } while (!other.has_said_farewell && Clock::now() < deadline);
  } catch (const std::exception&) {  // closed
  }
  return other.has_said_farewell ? &other.farewell_in : nullptr;
}

// What is under way to a rank goes out first: its memory must still be there.
void Peers::say_farewell(const PeerError& why) noexcept {
  if (std::exchange(said_farewell_, true)) return;
  for (const auto& other : others_) {
    if (!other) continue;
    Channel& channel = other->farewells_out;
    other->farewell_out.set(why);
    try {
      channel.buffer_->send(channel.peer(), channel.slot_);
      ++channel.sends_;
    } catch (const std::exception&) {  // it is gone already
    }
  }
  const Clock::time_point deadline = Clock::now() + kFlush;
  for (const auto& other : others_) {
    if (!other || other->farewells_out.sends_ == 0) continue;
    try {
      while (!look(other->farewells_out, true) && Clock::now() < deadline) {
      }
    } catch (const std::exception&) {  // it does not listen
    }
  }
}

void Peers::leave(const PeerError& why) noexcept {
  if (!said_farewell_) {
    say_farewell(why);
    const Clock::time_point deadline = Clock::now() + kGrace;
    for (int peer = 0; peer < world_size_; ++peer) {
      if (peer != rank_) await_farewell(peer, deadline);
    }
  }
  close();
}

}  // namespace convoy::dist
