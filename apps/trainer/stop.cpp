// SPDX-License-Identifier: MIT
#include "apps/trainer/stop.h"

#include <time.h>

#include <atomic>
#include <csignal>
#include <cstdint>

namespace convoy::apps {
namespace {

// Who stops all processes of a job (systemd, Slurm) tells a rank and its launcher, which tells the
// rank once more.
constexpr std::int64_t kSameWish = 1'000'000'000;

std::atomic<std::int64_t> came = 0;  // when the first did, in nanoseconds
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void note(int signal) {
  std::int64_t first = 0;
  const std::int64_t time = now();
  if (came.compare_exchange_strong(first, time) || time - first < kSameWish) return;
  std::signal(signal, SIG_DFL);
  std::raise(signal);  // it comes when this handler has returned
}

}  // namespace

void take_signals() {
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
}

bool signal_came() { return came != 0; }

}  // namespace convoy::apps
