// SPDX-License-Identifier: MIT
#pragma once
// A store that rank 0 serves at tcp://host:port; all ranks, rank 0 too, are its clients. The server
// knows at once when a rank's connection ends.

#include <memory>
#include <mutex>
#include <string>

#include "dist/socket.h"
#include "dist/store.h"
#include "dist/store_frames.h"
#include "dist/store_server.h"
#include "kernels/require.h"

namespace convoy::dist {

// The store does not answer any more, so rank 0 is lost.
class StoreLost : public Error {
 public:
  StoreLost(std::string text, bool closed) : Error(std::move(text)), closed_(closed) {}
  bool closed() const { return closed_; }  // rather than silent for the whole timeout

 private:
  bool closed_;
};

class TcpStore final : public Store {
 public:
  // Rank 0 begins to serve; each rank tries to reach it until `timeout`, which is also how long an
  // answer may take later.
  TcpStore(const Endpoint& endpoint, const Place& place, std::chrono::milliseconds timeout);
  // On `listening`, which rank 0 has brought along.
  TcpStore(Socket listening, const Endpoint& endpoint, const Place& place,
           std::chrono::milliseconds timeout);
  // Says goodbye; rank 0 waits until the others have, so that none of them takes it for dead.
  ~TcpStore() override;
  TcpStore(const TcpStore&) = delete;
  TcpStore& operator=(const TcpStore&) = delete;

  void set(const std::string& key, const std::string& value) override;
  std::optional<std::string> get(const std::string& key) override;

 private:
  void reach(const Place& place);
  std::string try_to_reach(const std::string& hello);
  Frame ask(const std::string& request);
  void send_all(const std::string& bytes);
  Frame receive();
  [[noreturn]] void lose(const std::string& how, bool closed);

  Endpoint endpoint_;
  std::chrono::milliseconds timeout_;
  int exceptions_;  // under way when it was made
  std::unique_ptr<StoreServer> server_;
  std::mutex mutex_;
  Socket socket_;
  FrameReader reader_{kMaxFrameBytes};
  std::string lost_;  // why, once it is
  bool lost_closed_ = false;
};

}  // namespace convoy::dist
