// SPDX-License-Identifier: MIT
#include "dist/meeting.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <random>
#include <sstream>

#include "dist/blame.h"
#include "dist/patience.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;
using Clock = Patience::Clock;

constexpr std::size_t kMaxStrangers = 64;
constexpr milliseconds kStrangersTime{5000}, kCall{500}, kRound{20};

std::string seconds(milliseconds time) { return fmt::format("{} s", in_seconds(time)); }

// Where a rank listens, as it publishes it.
struct Seat {
  int world_size = 0;
  Endpoint endpoint;
  std::string secret;

  std::string text() const {
    return fmt::format("{} {} {} {}", world_size, endpoint.host, endpoint.port, secret);
  }
  static Seat parse(const std::string& text) {
    Seat seat;
    std::istringstream(text) >> seat.world_size >> seat.endpoint.host >> seat.endpoint.port >>
        seat.secret;
    return seat;
  }
};

std::string fresh_secret() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}{:08x}{:08x}", device(), device(), device(), device());
}

// All of one length.
std::string greeting(const std::string& secret, int from, int to) {
  return fmt::format("convoy {} {:10} {:10}", secret, from, to);
}

// Somebody who has come, or has been called, and what he has said.
struct Talk {
  Socket socket;
  int peer;  // -1: not known yet
  Clock::time_point since = Clock::now();
  std::string heard = "";

  // False when the connection is over. Takes no byte that comes after what is `expected`.
  bool listen(std::size_t expected) {
    std::array<char, 256> bytes;
    const std::size_t most = std::min(bytes.size(), expected - heard.size());
    const long got = receive_some(socket, bytes.data(), most);
    if (got > 0) heard.append(bytes.data(), static_cast<std::size_t>(got));
    return got >= 0;
  }
  // A few bytes on a fresh connection.
  bool say(const std::string& text) const {
    return send_some(socket, text.data(), text.size()) == std::ssize(text);
  }
};

class Meeting {
 public:
  Meeting(Store& store, const Attendance& who)
      : store_(store),
        who_(who),
        sockets_(static_cast<std::size_t>(who.world_size)),
        why_(sockets_.size()) {}

  std::vector<Socket> run() {
    std::string why;
    listening_ = listen_on(who_.address, why);
    require(listening_.is_open(), "gloo: rank {} cannot listen on {}: {}", who_.rank, who_.address,
            why);
    ours_.world_size = who_.world_size;
    ours_.endpoint = Endpoint{who_.address, port_of(listening_)};
    ours_.secret = fresh_secret();
    publish_and_read_seats();
    Patience patience(who_.timeout);
    while (const std::optional<int> missing = first_missing()) {
      if (!patience.go_on()) throw_unreachable(*missing);
      call_lower_ranks();
      wait_for_news();
    }
    return std::move(sockets_);
  }

 private:
  std::string key(const char* what, int of) const {
    return fmt::format("{}/gloo/{}{}", who_.prefix, what, of);
  }

  void publish_and_read_seats() {
    store_.set(key("", who_.rank), ours_.text());
    Patience patience(who_.timeout);
    for (int peer = 0; peer < who_.world_size; ++peer) {
      std::optional<std::string> theirs;
      while (!(theirs = store_.get(key("", peer)))) {
        require(patience.pause(), "gloo: rank {} has not come within {}", peer,
                seconds(who_.timeout));
      }
      seats_.push_back(Seat::parse(*theirs));
      require(seats_.back().world_size == who_.world_size,
              "gloo: rank {} expects {} ranks, rank {} expects {}", who_.rank, who_.world_size,
              peer, seats_.back().world_size);
    }
  }

  std::optional<int> first_missing() const {
    for (int peer = 0; peer < who_.world_size; ++peer) {
      if (peer != who_.rank && !sockets_[peer].is_open()) return peer;
    }
    return std::nullopt;
  }

  // One whose call was cut off is called again: perhaps strangers kept him too busy.
  void call_lower_ranks() {
    for (int peer = 0; peer < who_.rank; ++peer) {
      const bool called =
          std::ranges::any_of(calls_, [&](const Talk& t) { return t.peer == peer; });
      if (called || sockets_[peer].is_open()) continue;
      const Seat& seat = seats_[peer];
      const auto patience = static_cast<int>(std::min(kCall, who_.timeout).count());
      Talk call{connect_to(seat.endpoint, patience, why_[peer]), peer};
      if (!call.socket.is_open()) continue;
      if (call.say(greeting(seat.secret, who_.rank, peer))) calls_.push_back(std::move(call));
    }
  }

  void wait_for_news() {
    std::vector<pollfd> polled = {{listening_.descriptor(), POLLIN, 0}};
    for (const auto* talks : {&calls_, &strangers_}) {
      for (const Talk& talk : *talks) polled.push_back({talk.socket.descriptor(), POLLIN, 0});
    }
    poll(polled.data(), polled.size(), static_cast<int>(kRound.count()));
    std::erase_if(calls_, [this](Talk& call) { return is_over(call); });
    std::erase_if(strangers_, [this](Talk& stranger) { return has_shown_himself(stranger); });
    if (polled[0].revents != 0) accept_one();
  }

  // A rank that was called answers with our secret.
  bool is_over(Talk& call) {
    if (!call.listen(ours_.secret.size())) {
      why_[call.peer] = "it closes the connection";
      return true;
    }
    if (call.heard.size() < ours_.secret.size()) return false;
    if (call.heard == ours_.secret) {
      sockets_[call.peer] = std::move(call.socket);
    } else {
      why_[call.peer] = "another program answers there";
    }
    return true;
  }

  bool has_shown_himself(Talk& stranger) {
    const std::size_t whole = greeting(ours_.secret, 0, 0).size();
    if (!stranger.listen(whole)) return true;
    if (stranger.heard.size() < whole) return Clock::now() - stranger.since > kStrangersTime;
    for (int peer = who_.rank + 1; peer < who_.world_size; ++peer) {
      if (stranger.heard != greeting(ours_.secret, peer, who_.rank)) continue;
      if (stranger.say(seats_[peer].secret)) sockets_[peer] = std::move(stranger.socket);
    }
    return true;
  }

  void accept_one() {
    Socket socket(accept4(listening_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    const bool no_descriptor_left = !socket.is_open() && (errno == EMFILE || errno == ENFILE);
    if (no_descriptor_left) std::this_thread::sleep_for(milliseconds(10));
    if (!strangers_.empty() && (no_descriptor_left || strangers_.size() >= kMaxStrangers)) {
      strangers_.erase(strangers_.begin());
    }
    if (socket.is_open()) strangers_.push_back({std::move(socket), -1});
  }

  // One that cannot be reached may only have given up for a third: it says so in the store.
  [[noreturn]] void throw_unreachable(int peer) const {
    const std::string why = why_[peer].empty() ? "" : ": " + why_[peer];
    const PeerError suspicion(peer, fmt::format("rank {} cannot be reached within {}{}", peer,
                                                seconds(who_.timeout), why));
    Farewell ours, theirs;
    ours.set(suspicion);
    const auto look = [&](int of, Clock::time_point deadline) -> const Farewell* {
      do {
        if (const auto said = store_.get(key("unreachable/", of));
            said && said->size() == sizeof theirs) {
          std::memcpy(&theirs, said->data(), sizeof theirs);
          return &theirs;
        }
        std::this_thread::sleep_for(milliseconds(10));
      } while (Clock::now() < deadline);
      return nullptr;
    };
    try {
      store_.set(key("unreachable/", who_.rank),
                 std::string(reinterpret_cast<const char*>(&ours), sizeof ours));
      throw find_culprit(suspicion, who_.rank, who_.world_size, look);
    } catch (const Error&) {  // the store is gone: perhaps with its rank
      throw suspicion;
    }
  }

  Store& store_;
  const Attendance& who_;
  Seat ours_;
  Socket listening_;
  std::vector<Seat> seats_;       // by rank
  std::vector<Socket> sockets_;   // by rank, of those that have shown who they are
  std::vector<std::string> why_;  // by rank, how the last call ended
  std::vector<Talk> calls_, strangers_;
};

}  // namespace

std::vector<Socket> meet(Store& store, const Attendance& who) { return Meeting(store, who).run(); }

}  // namespace convoy::dist
