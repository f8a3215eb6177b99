// SPDX-License-Identifier: MIT
#pragma once
// Notices that a rank is lost, and ends this one with a sentence that names it. A thread of each
// rank tells the store that it is alive and what the rank is doing; rank 0 looks at all others and
// says who is lost, the others look at rank 0 and at what it has said, so that all name the same
// one:
//
//   convoy: rank 2 is gone (killed or crashed), last seen in backward of step 12; rank 0 stops in
//   reduce of step 12
//
// A rank is lost when its connection ended without a goodbye (store over TCP), when it has not been
// heard of for the timeout, or when it said that it failed. One that was stopped and goes on before
// the timeout is not.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dist/health_report.h"
#include "dist/patience.h"
#include "dist/store.h"

namespace convoy::dist {

struct HealthOptions {
  std::chrono::milliseconds timeout = std::chrono::seconds(600);
  // Once, from the watch's thread: by default prints "convoy: SENTENCE" on standard error.
  std::function<void(const std::string&)> say;
  // After it, when the others know too: by default ends the process with exit code 1.
  std::function<void()> end;
};

class Health {
 public:
  Health(Store& store, int rank, int world_size, HealthOptions options);
  // Says goodbye. Rank 0 keeps watch until all others have; with an exception under way it tells
  // them that it failed.
  ~Health();
  Health(const Health&) = delete;
  Health& operator=(const Health&) = delete;

  // What this rank is about to do; `phase` is a literal. Two stores to memory.
  void enter(const char* phase, std::int64_t step);

  // For who got an error of a communicator: it may come from a loss that the watch is about to
  // notice. Waits for that for up to 1.5 s; the process then ends as above, or, where `end` has
  // returned, the sentence is given. Otherwise says who has told nothing meanwhile, or has left
  // before us; the others are told, and this rank is going to end as after fail().
  std::optional<std::string> blame();

  // From here on this rank ends by no loss of another: for an error that all have come to, and that
  // each says itself.
  void stop_watching() { watching_ = false; }

  // This rank is going to end by an error of its own: the others stop, and say so. Should this one
  // not have ended two seconds later, the watch ends it.
  void fail(const std::string& what);

 private:
  struct Peer {
    std::string text;  // as last seen
    HealthReport report;
    Patience patience{std::chrono::milliseconds(0)};
    bool seen = false;
  };

  void watch(const std::stop_token& stop);
  void beat_while_waiting(const std::stop_token& stop);
  void tell();
  std::string look();
  std::string judge(int rank);
  const HealthReport& last_of(int rank) const {
    return peers_[static_cast<std::size_t>(rank)].report;
  }
  void read_report(int rank);
  void lose(const std::string& verdict);
  void await_seen();
  std::string with_our_place(const std::string& verdict) const;
  std::vector<std::string> reports() const;
  static std::string compare(const std::vector<std::string>& before,
                             const std::vector<std::string>& now);
  void tell_failure(RankState state, const std::string& what);
  void await_end_after_failure(const std::stop_token& stop);

  Store& store_;
  const int rank_, world_size_;
  HealthOptions options_;
  const std::chrono::milliseconds interval_;
  const int exceptions_;  // under way when it was made

  std::atomic<const char*> phase_ = "connect";
  std::atomic<std::int64_t> step_ = -1;
  std::atomic<const char*> told_phase_ = nullptr;
  std::atomic<std::int64_t> told_step_ = -1;
  std::int64_t beats_ = 0;
  std::vector<Peer> peers_;
  int lost_ = -1;  // rank 0: who it is

  std::mutex mutex_;
  std::condition_variable changed_;
  RankState state_ = RankState::running;
  std::string message_;   // of a failure of ours
  std::string sentence_;  // once somebody is lost
  bool ended_ = false;    // `end` has returned
  std::atomic<bool> leaving_ = false, all_left_ = false, watching_ = true;
  std::jthread thread_;
};

}  // namespace convoy::dist
