// SPDX-License-Identifier: MIT
#pragma once
// Work that a thread issues and somebody waits for: cp.async, TMA, wgmma. A source is read and a
// result written when the work completes, not when it is issued, and until then the target is
// poison. When that is, Options::async says.

#include <cstdint>
#include <deque>
#include <functional>

#include "kernels/sim/options.h"
#include "kernels/sim/site.h"

namespace convoy::sim {

struct Thread;

struct AsyncWork {
  const char* what = "";
  Site site;
  Thread* issuer = nullptr;
  std::uint64_t queue = 0;         // works of one queue complete in the order of their issue
  std::function<void()> complete;  // runs without a current thread of its own
};

class AsyncEngine {
 public:
  using Ticket = std::uint64_t;

  void start(std::uint64_t seed);
  Ticket submit(AsyncWork work);
  bool done(Ticket ticket) const;
  // This work, and before it all of its queue that was issued earlier.
  void complete(Ticket ticket);
  // Nobody can run: the oldest work, or with Async::seeded any that may be next. False: none left.
  bool complete_some();
  // With Async::seeded, now and then one at random. Called wherever a thread waits.
  void perhaps_complete();
  void finish_all();

 private:
  struct Pending {
    Ticket ticket;
    AsyncWork work;
  };
  bool may_be_next(std::size_t position) const;
  void complete_at(std::size_t position);
  std::uint64_t random();

  std::deque<Pending> pending_;
  Ticket next_ = 1;
  std::uint64_t random_ = 1;
};

}  // namespace convoy::sim
