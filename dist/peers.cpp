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
constexpr std::uint64_t kData = 0, kNotes = 1, kFarewells = 2;

// Gloo's own timeouts would close every connection before the others can be told why.
constexpr milliseconds kNever = std::chrono::hours(24 * 365);

// How long one that suspects a silent rank listens whether that one waits for a third; and how long
// one that leaves waits for what it has sent.
constexpr milliseconds kGrace{500};

std::string seconds(milliseconds time) {
  return fmt::format("{} s", static_cast<double>(time.count()) / 1000);
}

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
};

// What is kept for each other rank. Memory for its next note and its farewell is given in advance,
// so both arrive whatever this rank is doing.
struct Peers::Peer {
  Peer(Peers& peers, int rank)
      : notes_in(peers, rank, &note_in, sizeof note_in),
        notes_out(peers, rank, &note_out, sizeof note_out),
        farewells_in(peers, rank, &farewell_in, sizeof farewell_in),
        farewells_out(peers, rank, &farewell_out, sizeof farewell_out) {
    notes_in.slot_ = notes_out.slot_ = kNotes;
    farewells_in.slot_ = farewells_out.slot_ = kFarewells;
    notes_in.receive(0, sizeof note_in);
    farewells_in.receive(0, sizeof farewell_in);
  }

  Note note_in{}, note_out{};
  Farewell farewell_in, farewell_out;
  bool has_said_farewell = false;
  Channel notes_in, notes_out, farewells_in, farewells_out;
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
    throw peers_->find_culprit({peer_, fmt::format("rank {} has closed the connection", peer_)});
  }
  ++sends_;
}

void Peers::Channel::receive(std::size_t offset, std::size_t bytes) {
  if (bytes == 0) return;
  try {
    buffer_->recv(peer_, slot_, offset, bytes);
  } catch (const std::exception&) {
    throw peers_->find_culprit({peer_, fmt::format("rank {} has closed the connection", peer_)});
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
  context_->setTimeout(timeout);
  connect(store, prefix);
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer != rank) others_[peer] = std::make_unique<Peer>(*this, peer);
  }
  watch_ = std::thread([this] { watch(); });
}

// Each rank publishes one address for each of the others, its pair's, all of one length.
void Peers::connect(Store& store, const std::string& prefix) {
  const auto key = [&](int rank) { return fmt::format("{}/gloo/{}", prefix, rank); };
  const Clock::time_point deadline = Clock::now() + timeout_;
  const auto left = [&] {
    const auto time = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    return std::max(time, milliseconds(1));
  };
  std::string addresses;
  std::size_t length = 0;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) {
      addresses.append(length, '\0');
      continue;
    }
    const std::vector<char> address = context_->createPair(peer)->address().bytes();
    if (length == 0) addresses.append(rank_ == 0 ? address.size() : 0, '\0');
    length = address.size();
    addresses.append(address.data(), address.size());
  }
  store.set(key(rank_), addresses);
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    std::string theirs;
    try {
      theirs = store.wait(key(peer), left());
    } catch (const Error& error) {
      fail("gloo: rank {} has not come within {}: {}", peer, seconds(timeout_), error.what());
    }
    require(theirs.size() == addresses.size(),
            "gloo: rank {} expects {} ranks' addresses of rank {}, found {} bytes", rank_,
            world_size_, peer, theirs.size());
    const auto mine = theirs.begin() + static_cast<std::ptrdiff_t>(length * rank_);
    try {
      context_->getPair(peer)->connect({mine, mine + static_cast<std::ptrdiff_t>(length)});
    } catch (const std::exception& error) {
      fail("gloo: rank {} cannot be reached within {}: {}", peer, seconds(timeout_), error.what());
    }
  }
}

Peers::~Peers() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  if (watch_.joinable()) watch_.join();
  close();
}

// What the connections still have to write goes out, unless a peer writes to us.
void Peers::close() noexcept {
  for (int peer = 0; peer < world_size_ && context_; ++peer) context_->getPair(peer).reset();
}

std::vector<Peers::Note> Peers::exchange(const Note& mine) {
  std::vector<Note> notes(world_size_, mine);
  for (const auto& other : others_) {
    if (!other) continue;
    other->note_out = mine;
    other->notes_out.send(0, sizeof mine);
  }
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    Peer& other = *others_[peer];
    other.notes_in.await_received();
    notes[peer] = other.note_in;
    other.notes_in.receive(0, sizeof mine);
  }
  for (const auto& other : others_) {
    if (other) other->notes_out.await_sent();
  }
  return notes;
}

void Peers::await(Channel& channel, bool sent) {
  const int peer = channel.peer();
  try {
    if (has_passed(*channel.buffer_, sent)) return;
  } catch (const PeerError&) {
    throw;
  } catch (const std::exception&) {
    throw find_culprit({peer, fmt::format("rank {} has closed the connection", peer)});
  }
  const PeerError suspicion(
      peer, fmt::format("rank {} has said nothing for {}", peer, seconds(timeout_)));
  say_farewell(suspicion);
  throw find_culprit(suspicion);
}

// False when the deadline has passed first.
bool Peers::has_passed(gloo::transport::UnboundBuffer& buffer, bool sent) {
  std::unique_lock lock(mutex_);
  deadline_ = Clock::now() + timeout_;
  bool passed = false;
  while (!passed && !interrupted_ && Clock::now() < deadline_) {
    awaited_ = &buffer;
    lock.unlock();
    std::exception_ptr error;
    try {
      passed = sent ? buffer.waitSend(kNever) : buffer.waitRecv(kNever);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    awaited_ = nullptr;
    if (error) std::rethrow_exception(error);
  }
  if (!passed && interrupted_) {
    throw PeerError(rank_, fmt::format("rank {} has closed its communicator", rank_));
  }
  return passed;
}

// Ends a wait at its deadline, which only ever grows: no wait has to tell us that it begins.
void Peers::watch() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    const Clock::time_point now = Clock::now();
    if (awaited_ != nullptr && (interrupted_ || now >= deadline_)) {
      awaited_->abortWaitRecv();
      awaited_->abortWaitSend();
      changed_.wait_for(lock, milliseconds(1));
    } else {
      changed_.wait_until(lock, awaited_ != nullptr ? deadline_ : now + timeout_);
    }
  }
}

void Peers::interrupt() noexcept {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

// From the one that is suspected to the one that it suspects, and so on.
PeerError Peers::find_culprit(PeerError suspicion) {
  const Clock::time_point deadline = Clock::now() + kGrace;
  for (int hops = 0; hops < world_size_; ++hops) {
    const int peer = suspicion.culprit;
    if (peer == rank_ || !await_farewell(peer, deadline)) break;
    const Farewell& farewell = others_[peer]->farewell_in;
    if (farewell.culprit < 0 || farewell.culprit >= world_size_) break;
    const std::string text(farewell.text.data(), strnlen(farewell.text.data(), 252));
    suspicion = {farewell.culprit,
                 farewell.culprit == peer ? text : fmt::format("{}, says rank {}", text, peer)};
    if (farewell.culprit == peer) break;
  }
  return suspicion;
}

bool Peers::await_farewell(int peer, Clock::time_point deadline) {
  if (!others_[peer]) return false;  // not connected yet
  Peer& other = *others_[peer];
  if (other.has_said_farewell) return true;
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
  try {
    other.has_said_farewell = other.farewells_in.buffer_->waitRecv(std::max(left, milliseconds(1)));
  } catch (const std::exception&) {  // closed, or nothing came in time
  }
  return other.has_said_farewell;
}

void Peers::say_farewell(const PeerError& why) noexcept {
  if (std::exchange(said_farewell_, true)) return;
  for (const auto& other : others_) {
    if (!other) continue;
    Channel& channel = other->farewells_out;
    other->farewell_out.culprit = why.culprit;
    std::strncpy(other->farewell_out.text.data(), why.what(), sizeof other->farewell_out.text - 1);
    try {
      channel.buffer_->send(channel.peer(), channel.slot_);
      ++channel.sends_;
    } catch (const std::exception&) {  // it is gone already
    }
  }
}

void Peers::leave(const PeerError& why, bool all_is_well) noexcept {
  say_farewell(why);
  const Clock::time_point deadline = Clock::now() + kGrace;
  for (int peer = 0; peer < world_size_; ++peer) {
    if (peer == rank_) continue;
    if (all_is_well) await_farewell(peer, deadline);
    try {
      Channel& channel = others_[peer]->farewells_out;
      if (channel.sends_ > 0) channel.buffer_->waitSend(milliseconds(100));
    } catch (const std::exception&) {  // it does not listen
    }
  }
  close();
}

}  // namespace convoy::dist
