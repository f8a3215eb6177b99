// SPDX-License-Identifier: MIT
#include "dist/health.h"

#include <unistd.h>

#include <algorithm>
#include <exception>

#include "dist/store_session.h"
#include "dist/tcp_store.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongestInterval{250};
constexpr milliseconds kPhaseInterval{20};  // a new phase is told this soon
constexpr milliseconds kBlamePatience{1500}, kAfterwards{1200}, kEndPatience{2000};
const std::string kLostKey = "health/lost";

std::string report_key(int rank) { return fmt::format("health/{}", rank); }
std::string seen_key(int rank) { return fmt::format("health/seen/{}", rank); }

void print_and_flush(const std::string& sentence) {
  fmt::print(stderr, "convoy: {}\n", sentence);
  std::fflush(stderr);
}

HealthOptions with_defaults(HealthOptions options) {
  if (!options.say) options.say = print_and_flush;
  // Not exit(): destructors would wait for the rank that is lost.
  if (!options.end) options.end = [] { _exit(1); };
  return options;
}

}  // namespace

Health::Health(Store& store, int rank, int world_size, HealthOptions options)
    : store_(store),
      rank_(rank),
      world_size_(world_size),
      options_(with_defaults(std::move(options))),
      interval_(std::clamp(options_.timeout / 10, milliseconds(10), kLongestInterval)),
      exceptions_(std::uncaught_exceptions()),
      peers_(static_cast<std::size_t>(world_size)) {
  tell();
  thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

Health::~Health() {
  const bool failing = std::uncaught_exceptions() > exceptions_;
  try {
    if (failing) fail("it ended with an error");
    std::unique_lock lock(mutex_);
    const bool failed = state_ != RankState::running;
    lock.unlock();
    if (rank_ == 0 && failed) await_seen();
    if (rank_ == 0 && !failed) {
      leaving_ = true;
      Patience patience(options_.timeout);
      while (!all_left_ && patience.pause()) {
      }
    }
    thread_.request_stop();
    thread_.join();
    lock.lock();
    if (state_ == RankState::running) state_ = RankState::left;
    lock.unlock();
    tell();
  } catch (const Error&) {  // rank 0 has gone first
  }
}

void Health::enter(const char* phase, std::int64_t step) {
  step_.store(step, std::memory_order_relaxed);
  phase_.store(phase, std::memory_order_relaxed);
}

void Health::tell() {
  const std::lock_guard lock(mutex_);
  told_phase_ = phase_.load(std::memory_order_relaxed);
  told_step_ = step_.load(std::memory_order_relaxed);
  const HealthReport report{beats_++, state_, told_step_, told_phase_.load(), message_};
  store_.set(report_key(rank_), report.text());
}

void Health::watch(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::string verdict;
    try {
      tell();
      verdict = look();
      if (verdict.empty()) beat_while_waiting(stop);
    } catch (const StoreLost& lost) {
      verdict = lost.closed() ? gone(0, last_of(0)) : silent(0, last_of(0), options_.timeout);
    } catch (const std::exception& error) {
      verdict = error.what();
    }
    std::unique_lock lock(mutex_);
    const bool failed = state_ != RankState::running;
    lock.unlock();
    if (failed) return await_end_after_failure(stop);
    if (!verdict.empty() && watching_) return lose(verdict);
  }
}

// Until it is time to look again; a phase that has changed is told at once.
void Health::beat_while_waiting(const std::stop_token& stop) {
  const auto end = Patience::Clock::now() + (leaving_ ? kPhaseInterval : interval_);
  while (!stop.stop_requested() && Patience::Clock::now() < end) {
    std::this_thread::sleep_for(std::min(kPhaseInterval, interval_));
    if (phase_ != told_phase_ || step_ != told_step_) tell();
  }
}

// What is to be said of a rank that is lost; empty while none is.
std::string Health::look() {
  if (rank_ != 0) {
    if (const auto verdict = store_.get(kLostKey)) return *verdict;
    return judge(0);
  }
  bool all_left = true;
  for (int rank = 1; rank < world_size_; ++rank) {
    const std::string verdict = judge(rank);
    if (!verdict.empty()) {
      lost_ = rank;
      return verdict;
    }
    all_left = all_left && peers_[static_cast<std::size_t>(rank)].report.state == RankState::left;
  }
  all_left_ = all_left;
  return "";
}

std::string Health::judge(int rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  if (peer.report.state == RankState::left) return "";
  read_report(rank);
  if (peer.report.state == RankState::left) return "";
  if (peer.report.state != RankState::running) return failed(rank, peer.report);
  if (store_.get(gone_key(rank))) {
    read_report(rank);  // its last words
    return peer.report.state == RankState::running ? gone(rank, peer.report) : judge(rank);
  }
  // Who has not come yet is waited for elsewhere.
  return !peer.seen || peer.patience.go_on() ? "" : silent(rank, peer.report, options_.timeout);
}

void Health::read_report(int rank) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  const auto text = store_.get(report_key(rank));
  if (!text || *text == peer.text) return;
  peer.text = *text;
  peer.report = HealthReport::parse(*text);
  peer.patience = Patience(options_.timeout);
  peer.seen = true;
}

void Health::lose(const std::string& verdict) {
  {
    const std::lock_guard lock(mutex_);
    sentence_ = with_our_place(verdict);
    changed_.notify_all();
  }
  options_.say(sentence_);
  try {
    if (rank_ == 0) {
      store_.set(kLostKey, verdict);
      await_seen();
    } else {
      store_.set(seen_key(rank_), "");
    }
  } catch (const Error&) {  // rank 0 is the one that is lost
  }
  options_.end();
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

// Rank 0 serves the store: it stays until the others, but for those that are lost, have read why.
void Health::await_seen() {
  Patience patience(kAfterwards);
  for (int rank = 1; rank < world_size_; ++rank) {
    if (rank == lost_) continue;
    const std::string key = seen_key(rank);
    while (!store_.get(key) && !store_.get(gone_key(rank))) {
      const auto report = store_.get(report_key(rank));
      if (!report || HealthReport::parse(*report).state != RankState::running) break;
      if (!patience.pause()) return;
    }
  }
}

std::optional<std::string> Health::blame() {
  const std::vector<std::string> before = reports();
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kBlamePatience, [&] { return !sentence_.empty(); });
  if (!sentence_.empty()) {
    changed_.wait_for(lock, kEndPatience, [&] { return ended_; });
    return sentence_;
  }
  lock.unlock();
  const std::string verdict = compare(before, reports());
  if (verdict.empty()) return std::nullopt;
  tell_failure(RankState::bereaved, verdict);
  return with_our_place(verdict);
}

std::string Health::with_our_place(const std::string& verdict) const {
  return fmt::format("{}; rank {} stops in {}", verdict, rank_,
                     place_of(phase_.load(), step_.load()));
}

// What all ranks tell now; of ourselves, and where rank 0 is gone, nothing.
std::vector<std::string> Health::reports() const {
  std::vector<std::string> texts(peers_.size());
  try {
    for (int rank = 0; rank < world_size_; ++rank) {
      if (rank == rank_) continue;
      texts[static_cast<std::size_t>(rank)] = store_.get(report_key(rank)).value_or("");
    }
  } catch (const Error&) {  // the watch will say so
  }
  return texts;
}

// Who has told nothing new while we waited, or has left before.
std::string Health::compare(const std::vector<std::string>& before,
                            const std::vector<std::string>& now) {
  for (std::size_t rank = 0; rank < now.size(); ++rank) {
    if (now[rank].empty()) continue;
    const HealthReport report = HealthReport::parse(now[rank]);
    if (report.state == RankState::left) {
      return fmt::format("rank {} has left, having done all it had to", rank);
    }
    if (report.state == RankState::running && now[rank] == before[rank]) {
      return silent(static_cast<int>(rank), report, kBlamePatience);
    }
  }
  return "";
}

void Health::fail(const std::string& what) {
  tell_failure(RankState::failed, what.substr(0, 4096));
}

void Health::tell_failure(RankState state, const std::string& what) {
  {
    const std::lock_guard lock(mutex_);
    if (state_ != RankState::running || !sentence_.empty()) return;
    state_ = state;
    message_ = what;
  }
  try {
    tell();
    if (rank_ == 0) store_.set(kLostKey, failed(rank_, {.state = state, .message = what}));
  } catch (const Error&) {  // nobody is there to be told
  }
}

// The caller prints the error and ends; unless a destructor waits for a rank that is gone.
void Health::await_end_after_failure(const std::stop_token& stop) {
  Patience patience(kEndPatience);
  while (!stop.stop_requested()) {
    if (patience.pause()) continue;
    options_.say(message_);
    return options_.end();
  }
}

}  // namespace convoy::dist
