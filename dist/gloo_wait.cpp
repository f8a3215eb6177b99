// SPDX-License-Identifier: MIT
#include "dist/gloo_wait.h"

#include <gloo/transport/unbound_buffer.h>

#include <exception>

namespace convoy::dist {
namespace {

constexpr std::chrono::milliseconds kNever = std::chrono::hours(24 * 365);

}  // namespace

// While it is there, the watch cuts the buffer's waits short.
class GlooWait::Round {
 public:
  Round(GlooWait& all, Buffer& buffer) : all_(all) { set(&buffer); }
  ~Round() { set(nullptr); }

 private:
  void set(Buffer* awaited) {
    const std::lock_guard lock(all_.mutex_);
    all_.awaited_ = awaited;
  }
  GlooWait& all_;
};

GlooWait::GlooWait(std::chrono::milliseconds round)
    : round_(round), watch_([this](const std::stop_token& stop) { watch(stop); }) {}

GlooWait::~GlooWait() {
  {
    const std::lock_guard lock(mutex_);
    watch_.request_stop();
  }
  changed_.notify_all();
}

bool GlooWait::for_sent(Buffer& buffer) {
  const Round round(*this, buffer);
  return buffer.waitSend(kNever);
}

bool GlooWait::for_received(Buffer& buffer) {
  const Round round(*this, buffer);
  return buffer.waitRecv(kNever);
}

void GlooWait::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (awaited_ != nullptr) {
      awaited_->abortWaitRecv();
      awaited_->abortWaitSend();
    }
    changed_.wait_for(lock, round_);
  }
}

void GlooWait::interrupt() noexcept {
  const std::lock_guard lock(mutex_);
  interrupted_ = true;
  changed_.notify_all();
}

bool GlooWait::is_interrupted() {
  const std::lock_guard lock(mutex_);
  return interrupted_;
}

bool is_open(GlooWait::Buffer& nothing) {
  try {
    nothing.abortWaitRecv();
    nothing.waitRecv(kNever);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace convoy::dist
