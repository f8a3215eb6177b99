// SPDX-License-Identifier: MIT
#include "dist/tcp_store.h"

#include <algorithm>
#include <array>
#include <exception>

#include "dist/patience.h"
#include "dist/store_entry.h"

namespace convoy::dist {
namespace {

constexpr int kSlice = 100;  // milliseconds
// How long rank 0 stays for others that are about to end, when something went wrong.
constexpr std::chrono::milliseconds kLastWords{1000};

}  // namespace

TcpStore::TcpStore(const Endpoint& endpoint, const Place& place, std::chrono::milliseconds timeout)
    : TcpStore(place.rank == 0 ? listen_at(endpoint) : Socket(), endpoint, place, timeout) {}

TcpStore::TcpStore(Socket listening, const Endpoint& endpoint, const Place& place,
                   std::chrono::milliseconds timeout)
    : endpoint_(endpoint), timeout_(timeout), exceptions_(std::uncaught_exceptions()) {
  if (place.rank == 0) {
    endpoint_.port = port_of(listening);
    server_ = std::make_unique<StoreServer>(std::move(listening), place.world_size, place.job);
  }
  reach(place);
}

TcpStore::~TcpStore() {
  try {
    ask(frame(FrameKind::bye));
  } catch (const Error&) {  // rank 0 is gone already
  }
  if (!server_) return;
  const bool failing = std::uncaught_exceptions() > exceptions_;
  Patience patience(failing ? std::min(timeout_, kLastWords) : timeout_);
  while (server_->ranks_present() > 0 && patience.pause()) {
  }
}

void TcpStore::reach(const Place& place) {
  const std::string hello = hello_frame({place.rank, place.world_size, place.job});
  Patience patience(timeout_);
  std::string why;
  do {
    why = try_to_reach(hello);
    if (why.empty()) return;
  } while (patience.pause());
  fail("store: rank {} expects rank 0 at {} within {} s, found: {}; is rank 0 running there?",
       place.rank, endpoint_, in_seconds(timeout_), why);
}

// Why not; empty when rank 0 has let us in.
std::string TcpStore::try_to_reach(const std::string& hello) {
  std::string why;
  socket_ = connect_to(endpoint_, static_cast<int>(std::min<long>(timeout_.count(), 2000)), why);
  if (!socket_.is_open()) return why;
  reader_ = FrameReader(kMaxFrameBytes);
  try {
    send_all(hello);
    const Frame answer = receive();
    if (answer.kind == FrameKind::done) return {};
    if (answer.kind == FrameKind::refused) fail("{} ({})", answer.body, endpoint_);
  } catch (const StoreLost& lost) {  // the server was ending, or another program closed it
    lost_.clear();
    return lost.what();
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::data) throw;
  }
  fail("store: expects rank 0 of this job at {}, found another program", endpoint_);
}

void TcpStore::set(const std::string& key, const std::string& value) {
  check_store_entry(key, value.size());
  const Frame answer = ask(set_frame(key, value));
  if (answer.kind != FrameKind::done) lose(answer.body, /*closed=*/true);
}

std::optional<std::string> TcpStore::get(const std::string& key) {
  check_store_entry(key, 0);
  Frame answer = ask(frame(FrameKind::get, key));
  if (answer.kind == FrameKind::absent) return std::nullopt;
  if (answer.kind != FrameKind::value) lose(answer.body, /*closed=*/true);
  return std::move(answer.body);
}

Frame TcpStore::ask(const std::string& request) {
  const std::lock_guard lock(mutex_);
  if (!lost_.empty()) throw StoreLost(lost_, lost_closed_);
  send_all(request);
  return receive();
}

void TcpStore::send_all(const std::string& bytes) {
  Patience patience(timeout_);
  for (std::size_t at = 0; at < bytes.size();) {
    const long sent = send_some(socket_, bytes.data() + at, bytes.size() - at);
    if (sent < 0) lose("closed the connection", /*closed=*/true);
    at += static_cast<std::size_t>(sent);
    if (sent > 0) continue;
    if (!patience.go_on()) lose("takes no requests", /*closed=*/false);
    wait_writable(socket_, kSlice);
  }
}

Frame TcpStore::receive() {
  Patience patience(timeout_);
  std::array<char, 16384> bytes;
  for (;;) {
    if (auto next = reader_.next()) return *std::move(next);
    const long got = receive_some(socket_, bytes.data(), bytes.size());
    if (got < 0) lose("closed the connection", /*closed=*/true);
    reader_.take({bytes.data(), static_cast<std::size_t>(got)});
    if (got > 0) continue;
    if (!patience.go_on()) {
      lose(fmt::format("has not answered for {} s", in_seconds(timeout_)), /*closed=*/false);
    }
    wait_readable(socket_, kSlice);
  }
}

void TcpStore::lose(const std::string& how, bool closed) {
  lost_ = fmt::format("store: rank 0 at {} {}", endpoint_, how);
  lost_closed_ = closed;
  throw StoreLost(lost_, closed);
}

}  // namespace convoy::dist
