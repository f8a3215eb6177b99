// SPDX-License-Identifier: MIT
#pragma once
// Waiting for a message of Gloo's, a round at a time: its own timeouts would close every connection
// before the others can be told why. A thread cuts each wait short now and then, so that whoever
// waits can look at the time and at the connection.
//
//   while (!wait.for_received(buffer)) {
//     if (!patience.go_on()) ...
//   }

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>

namespace gloo::transport {
class UnboundBuffer;
}  // namespace gloo::transport

namespace convoy::dist {

class GlooWait {
 public:
  using Buffer = gloo::transport::UnboundBuffer;

  explicit GlooWait(std::chrono::milliseconds round);
  ~GlooWait();
  GlooWait(const GlooWait&) = delete;
  GlooWait& operator=(const GlooWait&) = delete;

  // Whether one more of the buffer's messages has passed, before the round was over. Throw when
  // Gloo knows of the connection's end. Of one thread at a time.
  bool for_sent(Buffer& buffer);
  bool for_received(Buffer& buffer);

  // From any thread: a note to the one that waits.
  void interrupt() noexcept;
  bool is_interrupted();

 private:
  class Round;
  void watch(const std::stop_token& stop);

  const std::chrono::milliseconds round_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Buffer* awaited_ = nullptr;
  bool interrupted_ = false;
  std::jthread watch_;  // last: it uses all of the above
};

// Of memory for a message that nobody sends: only the connection's end ends that. Gloo does not
// tell a message that is half out, or half in.
bool is_open(GlooWait::Buffer& nothing);

}  // namespace convoy::dist
