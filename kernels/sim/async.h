// SPDX-License-Identifier: MIT
#pragma once
// Work that a thread issues and somebody waits for: cp.async, TMA, wgmma. A source is read and a
// result written when the work completes, not when it is issued, and until then the target is
// poison. When that is, Options::async says.

#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "kernels/sim/options.h"
#include "kernels/sim/site.h"

namespace convoy::sim {

struct Thread;

using Ticket = std::uint64_t;

// What a work is; its ticket names it to the access checker too.
struct AsyncWork {
  const char* what = "";
  Site site;
  Thread* issuer = nullptr;
  std::uint64_t queue = 0;  // works of one queue complete in the order of issue; 0: in any order
  // Only a wait of the issuer's for its group asks for it; otherwise it completes on an mbarrier.
  bool in_group = true;
  bool async_proxy = false;  // TMA and wgmma: sees shared memory through Block::async_view
  Ticket ticket = 0;
};

class AsyncEngine {
 public:
  using Completion = std::function<void(const AsyncWork&)>;  // runs without a current thread

  void start(std::uint64_t seed);
  std::uint64_t new_queue() { return ++last_queue_; }
  Ticket submit(AsyncWork work, Completion complete);
  // This work, and before it all of its queue that was issued earlier.
  void complete(Ticket ticket);
  // Nobody can run: the oldest work on an mbarrier, or with Async::seeded any work. False: there is
  // none that somebody could be waiting for.
  bool complete_some();
  // With Async::seeded, now and then one at random. Called wherever a thread waits.
  void perhaps_complete();
  void finish_all();

 private:
  struct Pending {
    AsyncWork work;
    Completion complete;  // empty: done
  };
  bool is_pending(Ticket ticket) const;
  std::size_t first_of_queue(std::size_t position) const;
  void complete_at(std::size_t position);
  std::uint64_t random();

  std::deque<Pending> pending_;  // of consecutive tickets; those that are done leave at the front
  Ticket next_ = 1;
  std::uint64_t last_queue_ = 1u << 16;  // below: queues that have a number of their own
  std::uint64_t random_ = 1;
};

// A thread's works in the groups of cp.async, of the bulk copies or of wgmma: those since the last
// commit are a group to be, and a wait names how many of the newest groups may go on.
class WorkGroups {
 public:
  void add(Ticket ticket, const Site& site) { works_.push_back({ticket, committed_, site}); }
  void commit() { ++committed_; }
  // The works of all committed groups but the newest `keep`, in the order of issue; they leave.
  std::vector<Ticket> take_all_but(std::uint32_t keep);
  // Where the oldest that nobody waited for was issued; null: there is none.
  const Site* oldest() const { return works_.empty() ? nullptr : &works_.front().site; }
  void clear() { works_.clear(); }

 private:
  struct Member {
    Ticket ticket;
    std::uint32_t group;
    Site site;
  };
  std::vector<Member> works_;
  std::uint32_t committed_ = 0;
};

}  // namespace convoy::sim
