// SPDX-License-Identifier: MIT
#include "dist/store_server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "kernels/require.h"

namespace convoy::dist {

using Clock = std::chrono::steady_clock;

StoreServer::StoreServer(Socket listening, int world_size, std::string job,
                         std::chrono::milliseconds patience)
    : listening_(std::move(listening)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      patience_(patience),
      values_(world_size, std::move(job)),
      thread_([this](const std::stop_token& stop) { serve(stop); }) {}

StoreServer::~StoreServer() {
  thread_.request_stop();
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_.descriptor(), &one, sizeof one);
  thread_.join();
}

void StoreServer::serve(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    wait_for_news();
    drop_finished();
    present_ = values_.present();
  }
}

void StoreServer::wait_for_news() {
  std::vector<pollfd> polled = {{wake_.descriptor(), POLLIN, 0},
                                {listening_.descriptor(), POLLIN, 0}};
  for (const Connection& c : connections_) {
    // Who does not take his answers is not asked for more questions.
    polled.push_back(
        {c.socket.descriptor(), static_cast<short>(c.out.empty() ? POLLIN : POLLOUT), 0});
  }
  if (poll(polled.data(), polled.size(), 1000) <= 0) return;
  for (std::size_t i = 0; i < connections_.size(); ++i) {
    Connection& c = connections_[i];
    const short events = polled[i + 2].revents;
    if (events == 0) continue;
    if (c.out.empty()) {
      read_from(c);
    } else {
      send_to(c);
    }
    answer(c);
  }
  if (polled[1].revents != 0) accept_new();
}

void StoreServer::accept_new() {
  Socket socket(accept4(listening_.descriptor(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.is_open()) {
    // No descriptor left: the listener stays readable, so this must not go round at full speed.
    if (errno == EMFILE || errno == ENFILE) {
      drop_oldest_stranger();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return;
  }
  const auto strangers = std::ranges::count_if(
      connections_, [](const Connection& c) { return !c.closed && !c.session.is_rank(); });
  if (strangers >= kMaxStrangers) drop_oldest_stranger();
  connections_.push_back({std::move(socket), StoreSession(values_), {}, Clock::now()});
}

void StoreServer::drop_oldest_stranger() {
  const auto stranger = std::ranges::find_if(
      connections_, [](const Connection& c) { return !c.closed && !c.session.is_rank(); });
  if (stranger != connections_.end()) stranger->closed = true;
}

void StoreServer::read_from(Connection& c) {
  std::array<char, 16384> bytes;
  const std::size_t most = c.session.is_rank() ? bytes.size() : kMaxHelloBytes;
  const long got = receive_some(c.socket, bytes.data(), most);
  if (got < 0) c.closed = true;
  if (got > 0) c.session.take({bytes.data(), static_cast<std::size_t>(got)});
}

void StoreServer::answer(Connection& c) {
  while (!c.closed && c.out.empty()) {
    auto text = c.session.answer();
    if (!text) break;
    c.out = *std::move(text);
    send_to(c);
  }
}

void StoreServer::send_to(Connection& c) {
  const long sent = send_some(c.socket, c.out.data(), c.out.size());
  if (sent < 0) c.closed = true;
  if (sent > 0) c.out.erase(0, static_cast<std::size_t>(sent));
}

void StoreServer::drop_finished() {
  const Clock::time_point now = Clock::now();
  for (Connection& c : connections_) {
    const bool late = !c.session.is_rank() && now - c.since > patience_;
    const bool finished = c.session.is_over() && c.out.empty();
    if (late || finished) c.closed = true;
    if (c.closed) c.session.disconnected();
  }
  std::erase_if(connections_, [](const Connection& c) { return c.closed; });
}

}  // namespace convoy::dist
