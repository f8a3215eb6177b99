// SPDX-License-Identifier: MIT
#include "dist/peers.h"

#include <gloo/transport/context.h>
#include <gloo/transport/tcp/device.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

// What Gloo calls slots: a message goes to the receiver's next memory of the same slot.
constexpr std::uint64_t kData = 0, kNotes = 1, kFarewells = 2, kNothing = 3;

// Gloo's own timeouts would close every connection before the others can be told why.
constexpr milliseconds kNever = std::chrono::hours(24 * 365);

// How long one that suspects a silent rank listens whether that one waits for a third, and how long
// one that leaves waits for the others to leave too; how long for a farewell to go out; and how
// long one that sees a connection end listens what the others know.
constexpr milliseconds kGrace{500}, kFlush{300}, kHearsay{100};

std::string seconds(milliseconds time) { return fmt::format("{} s", in_seconds(time)); }

gloo::transport::tcp::attr listening_on(const std::string& address) {
  gloo::transport::tcp::attr attr;
  const char* const interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface != nullptr && *interface != '\0') {
    attr.iface = interface;
  } else {
    attr.hostname = address;
  }
  return attr;
}

}  // namespace

struct Peers::Farewell {
  int culprit = 0;
  std::array<char, 252> text{};

  void set(const PeerError& why) {
    culprit = why.culprit;
    std::strncpy(text.data(), why.what(), text.size() - 1);
  }
  std::string words() const { return {text.data(), strnlen(text.data(), text.size())}; }
};

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

  // Nobody sends what nothing_in expects: only the connection's end ends that. Gloo does not tell
  // a message that is half out, or half in.
  bool is_connected() {
    try {
      nothing_in.buffer_->abortWaitRecv();
      nothing_in.buffer_->waitRecv(kNever);
      return true;
    } catch (const std::exception&) {
      return false;
    }
  }

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
      buffer_(peers.context_->createUnboundBuffer(const_cast<void*>(memory), bytes)) {}
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
  try {
    device_ = gloo::transport::tcp::CreateDevice(listening_on(address));
  } catch (const std::exception& error) {
    fail("gloo: rank {} cannot listen on {}: {}", rank, address, error.what());
  }
  context_ = device_->createContext(rank, world_size);
  context_->setTimeout(std::max(timeout / 5, milliseconds(1)));  // connecting takes five of it
  connect(store, prefix);
  watch_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer != rank) others_[peer] = std::make_unique<Peer>(*this, peer);
  }
}

// Each rank publishes one address for each of the others, its pair's, all of one length.
void Peers::connect(Store& store, const std::string& prefix) {
  std::string addresses;
  std::size_t length = 0;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    const std::vector<char> address = context_->createPair(peer)->address().bytes();
    length = address.size();
    addresses.resize(length * peer);  // ours is empty
    addresses.append(address.begin(), address.end());
  }
  addresses.resize(length * world_size_);
  const auto key = [&](int rank) { return fmt::format("{}/gloo/{}", prefix, rank); };
  store.set(key(rank_), addresses);
  Patience patience(timeout_);
  std::vector<std::optional<std::string>> theirs(world_size_);
  for (int peer = 0; peer < world_size_; ++peer) {
    while (!theirs[peer]) {
      theirs[peer] = store.get(key(peer));
      require(theirs[peer] || patience.pause(), "gloo: rank {} has not come within {}", peer,
              seconds(timeout_));
    }
    require(theirs[peer]->size() == addresses.size(),
            "gloo: rank {} expects {} ranks, rank {} does not", rank_, world_size_, peer);
  }
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    const char* const address = theirs[peer]->data() + length * rank_;
    try {
      context_->getPair(peer)->connect({address, address + length});
    } catch (const std::exception&) {
      throw_unreachable(store, prefix, peer);
    }
  }
}

// One that cannot be reached may only be busy with a third that cannot: it says so in the store.
void Peers::throw_unreachable(Store& store, const std::string& prefix, int peer) {
  const auto key = [&](int rank) { return fmt::format("{}/gloo/unreachable/{}", prefix, rank); };
  const PeerError suspicion(
      peer, fmt::format("rank {} cannot be reached within {}", peer, seconds(timeout_)));
  Farewell ours;
  ours.set(suspicion);
  Farewell theirs;
  const auto look = [&](int rank, Clock::time_point deadline) -> const Farewell* {
    do {
      if (const auto said = store.get(key(rank)); said && said->size() == sizeof theirs) {
        std::memcpy(&theirs, said->data(), sizeof theirs);
        return &theirs;
      }
      std::this_thread::sleep_for(milliseconds(10));
    } while (Clock::now() < deadline);
    return nullptr;
  };
  try {
    store.set(key(rank_), std::string(reinterpret_cast<const char*>(&ours), sizeof ours));
    throw find_culprit(suspicion, look);
  } catch (const Error&) {  // the store is gone: perhaps with its rank
    throw suspicion;
  }
}

Peers::~Peers() {
  {
    const std::lock_guard lock(mutex_);
    watch_.request_stop();
  }
  changed_.notify_all();
  watch_ = {};
  close();
}

// What the connections still have to write goes out, unless a peer writes to us.
void Peers::close() noexcept {
  for (int peer = 0; peer < world_size_ && context_; ++peer) context_->getPair(peer).reset();
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
  if (interrupted()) {
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
    return {said->culprit, said->culprit == peer
                               ? said->words()
                               : fmt::format("{}, says rank {}", said->words(), peer)};
  }
  return suspicion;
}

// False when it has lasted longer than the timeout, or was interrupted. What had passed before the
// connection's end counts, but a look that the watch has cut short may miss it: two may not.
bool Peers::has_passed(Channel& channel, bool sent) {
  int looks_after_its_end = 0;
  for (Patience patience(timeout_); patience.go_on() && !interrupted();) {
    if (look(channel, sent)) return true;
    if (!others_[channel.peer()]->is_connected() && ++looks_after_its_end == 2) {
      throw std::runtime_error("the connection has ended");
    }
  }
  return false;
}

// Waits until a message has passed, but no longer than until the watch's next round: Gloo's own
// timeout would close all connections. Throws when it knows of the connection's end.
bool Peers::look(Channel& channel, bool sent) {
  gloo::transport::UnboundBuffer& buffer = *channel.buffer_;
  await_next_round(&buffer);
  try {
    const bool passed = sent ? buffer.waitSend(kNever) : buffer.waitRecv(kNever);
    await_next_round(nullptr);
    return passed;
  } catch (...) {
    await_next_round(nullptr);
    throw;
  }
}

void Peers::await_next_round(gloo::transport::UnboundBuffer* awaited) {
  const std::lock_guard lock(mutex_);
  awaited_ = awaited;
}

bool Peers::interrupted() {
  const std::lock_guard lock(mutex_);
  return interrupted_;
}

// Makes the wait under way look around now and then: at the time, at the connection.
void Peers::watch(const std::stop_token& stop) {
  const milliseconds pause = std::clamp(timeout_ / 8, milliseconds(1), milliseconds(100));
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (awaited_ != nullptr) {
      awaited_->abortWaitRecv();
      awaited_->abortWaitSend();
    }
    changed_.wait_for(lock, pause);
  }
}

void Peers::interrupt() noexcept {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

// From the one that is suspected to the one that it suspects, and so on. What that one says of
// itself counts only if nobody has said anything of it.
PeerError Peers::find_culprit(PeerError suspicion, const Listen& listen) {
  const Clock::time_point deadline = Clock::now() + kGrace;
  for (int hops = 0; hops < world_size_; ++hops) {
    const int peer = suspicion.culprit;
    const Farewell* const said = peer == rank_ ? nullptr : listen(peer, deadline);
    if (said == nullptr || said->culprit < 0 || said->culprit >= world_size_) break;
    if (said->culprit == peer) return hops == 0 ? PeerError(peer, said->words()) : suspicion;
    suspicion = {said->culprit, fmt::format("{}, says rank {}", said->words(), peer)};
  }
  return suspicion;
}

PeerError Peers::find_culprit(const PeerError& suspicion) {
  return find_culprit(suspicion, [this](int peer, Clock::time_point deadline) {
    return await_farewell(peer, deadline);
  });
}

const Peers::Farewell* Peers::await_farewell(int peer, Clock::time_point deadline) {
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
