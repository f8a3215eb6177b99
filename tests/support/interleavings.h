// SPDX-License-Identifier: MIT
#pragma once
// Runs a small program of a few threads under every order of their steps, up to a number of
// preemptions, and with every value that the C++ memory model lets a load of an atomic see. It
// finds races, deadlocks, endless loops and broken expectations, and says by which steps.
//
//   const Verdict verdict = explore({.preemptions = 2}, [] {
//     auto flag = std::make_shared<CheckedAtomic<int>>(0);
//     auto data = std::make_shared<CheckedValue<int>>();
//     return Program{{[=] { data->set(1); flag->store(1, std::memory_order_release); },
//                     [=] { if (flag->load(std::memory_order_acquire)) check(data->get() == 1,
//                     "…"); }}};
//   });
//   EXPECT_EQ(verdict.finding, "") << verdict.steps;
//
// Each thread is a fiber; a step is one operation on an atomic. A load may see any store that is
// not older than what the thread has seen of that atomic or knows to have happened; a step that
// writes sees the newest. Stores are never seen before they are made (no load buffering), and a
// failed compare-exchange sees the newest value: both as on every machine that is known.
// wait() compares with the newest value, as the system's own does, and wakes by notify_all alone.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace convoy::testing {

inline constexpr int kMostThreads = 4;

struct Program {
  std::vector<std::function<void()>> threads;  // at most kMostThreads
  std::function<void()> after = {};            // behind all of them
};

struct ExploreOptions {
  int preemptions = 2;                     // switches away from a thread that could go on
  int most_steps = 2000;                   // of one execution; more are an endless loop
  std::int64_t most_executions = 5000000;  // more are an error of the test
};

struct Verdict {
  std::string finding;  // empty: none
  std::string steps;    // that lead to it
  std::int64_t executions = 0;
};

// `make` builds the program anew for each execution, with all that its threads share.
Verdict explore(const ExploreOptions& options, const std::function<Program()>& make);

// By a thread of the program: `what` is the finding if the condition does not hold.
void check(bool condition, const char* what);

// What a thread knows: of each thread so many steps.
using Clock = std::array<std::uint32_t, kMostThreads>;

// ---- what CheckedAtomic and CheckedValue call ----

struct Store {
  std::uint64_t value = 0;
  int thread = -1;  // -1: before all threads
  std::uint32_t step = 0;
  Clock released{};  // what whoever acquires it comes to know
};

struct Location {
  explicit Location(std::uint64_t value) : stores{{value}} {}
  std::vector<Store> stores;                     // oldest first
  std::array<std::size_t, kMostThreads> seen{};  // each thread's newest
};

std::uint64_t load(Location& at, std::memory_order order);
void store(Location& at, std::uint64_t value, std::memory_order order);
// Returns the old value; `change` gives the new one, or false to leave it.
std::uint64_t modify(Location& at, std::memory_order order,
                     const std::function<bool(std::uint64_t& value)>& change);
void wait(Location& at, std::uint64_t old);
void notify_all(Location& at);

struct Accesses {
  int writer = -1;
  std::uint32_t written = 0;
  Clock read{};
};
void note_read(Accesses& at);
void note_write(Accesses& at);

// ---- std::atomic, as far as it is used ----

template <class T>
class CheckedAtomic {
 public:
  CheckedAtomic(T value = {}) : at_(static_cast<std::uint64_t>(value)) {}  // NOLINT
  T load(std::memory_order order) const { return static_cast<T>(testing::load(at_, order)); }
  void store(T value, std::memory_order order) {
    testing::store(at_, static_cast<std::uint64_t>(value), order);
  }
  T fetch_add(T more, std::memory_order order) {
    return static_cast<T>(modify(at_, order, [&](std::uint64_t& v) {
      v = static_cast<std::uint64_t>(static_cast<T>(v) + more);
      return true;
    }));
  }
  T fetch_sub(T less, std::memory_order order) {
    return fetch_add(static_cast<T>(0 - less), order);
  }
  bool compare_exchange_strong(T& expected, T value, std::memory_order order, std::memory_order) {
    bool same = false;
    const T old = static_cast<T>(modify(at_, order, [&](std::uint64_t& v) {
      same = static_cast<T>(v) == expected;
      if (same) v = static_cast<std::uint64_t>(value);
      return same;
    }));
    expected = old;
    return same;
  }
  void wait(T old, std::memory_order) const { testing::wait(at_, static_cast<std::uint64_t>(old)); }
  void notify_all() { testing::notify_all(at_); }

 private:
  mutable Location at_;
};

// A plain variable: accesses that nothing orders are a race.
template <class T>
class CheckedValue {
 public:
  T get() const {
    note_read(accesses_);
    return value_;
  }
  void set(T value) {
    note_write(accesses_);
    value_ = value;
  }

 private:
  mutable Accesses accesses_;
  T value_{};
};

}  // namespace convoy::testing
