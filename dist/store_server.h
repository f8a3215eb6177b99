// SPDX-License-Identifier: MIT
#pragma once
// The store's server: a thread of rank 0 that listens, and speaks only with ranks of this job.
// Whoever has not said who he is within a few seconds is dropped, and so is the oldest of them when
// too many wait: strangers cost bounded memory and keep no rank out.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "dist/socket.h"
#include "dist/store_session.h"

namespace convoy::dist {

class StoreServer {
 public:
  static constexpr std::ptrdiff_t kMaxStrangers = 64;

  StoreServer(Socket listening, int world_size, std::string job,
              std::chrono::milliseconds patience = std::chrono::seconds(5));
  ~StoreServer();  // closes all connections
  StoreServer(const StoreServer&) = delete;
  StoreServer& operator=(const StoreServer&) = delete;

  int ranks_present() const { return present_; }

 private:
  struct Connection {
    Socket socket;
    StoreSession session;
    std::string out;  // not yet sent
    std::chrono::steady_clock::time_point since;
    bool closed = false;
  };

  void serve(const std::stop_token& stop);
  void wait_for_news();
  void accept_new();
  void drop_oldest_stranger();
  void read_from(Connection& connection);
  static void answer(Connection& connection);
  static void send_to(Connection& connection);
  void drop_finished();

  Socket listening_, wake_;
  std::chrono::milliseconds patience_;
  StoreValues values_;
  std::vector<Connection> connections_;
  std::atomic<int> present_ = 0;
  std::jthread thread_;
};

}  // namespace convoy::dist
