// SPDX-License-Identifier: MIT
#pragma once
// Where the simulator tells the access checker what happens. In the preset simcheck kernels are
// compiled with a call for every load and store (access/hooks.cpp has the other end); elsewhere
// kEnabled is false and nothing of this runs. Every call stands behind `if constexpr (kEnabled)`.
//
// The checker knows who comes before whom only from here: join, release and acquire, fence, and
// the begin and end of asynchronous work. An access that is not instrumented (the simulator's own
// sources, an instruction's twin) counts only if it is told by read, write, work_reads,
// work_writes; those throw, at the site that they are given.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/sim/site.h"

namespace convoy::sim {
struct Thread;
struct Block;
struct Launch;
}  // namespace convoy::sim

namespace convoy::sim::access {

#ifdef CONVOY_SIMCHECK
inline constexpr bool kEnabled = true;
#else
inline constexpr bool kEnabled = false;
#endif

class History;
struct BlockShadow;

// Works of one thread that are known to be over: all up to `base`, and of the 64 behind it those
// whose bit is set.
struct WorkMarks {
  std::uint32_t base = 0;
  std::uint64_t beyond = 0;
};

// Who accesses: a thread, or asynchronous work.
struct Actor {
  std::uint32_t block = 0;       // number of its block, different for any two in the process
  std::uint32_t slot = 0;        // a thread's rank in the block; of a work kWorkSlot + its issuer's
  std::uint32_t now = 0;         // counts what it releases to others; of a work which of its issuer
  std::uint32_t floor = 0;       // every thread of the block is known up to here: the last barrier
  std::uint32_t warp_floor = 0;  // every lane of the warp is: the last full shuffle
  std::uint32_t issued = 0;      // so many works; of a work its issuer's `now` at the issue
  WorkMarks works;               // of its own, or its issuer's, that were waited for
  BlockShadow* home = nullptr;
  bool async_proxy = false;
  bool awaits_previous = false;             // has yet to wait for the stream's previous kernel
  std::shared_ptr<const History> known;     // everything else that comes before
  std::shared_ptr<const History> fenced;    // what came before a fence.proxy.async
  std::shared_ptr<const History> released;  // what came before its last __threadfence
  std::shared_ptr<const History> acquired;  // what relaxed atomics saw; the next fence takes it
};
inline constexpr std::uint32_t kWorkSlot = 1024;

#ifdef CONVOY_SIMCHECK
using ThreadClock = Actor;
#else
struct ThreadClock {};
#endif

void launch_begins(const Launch& launch);
void launch_ends() noexcept;
void block_begins(Block& block);  // shared memory is there, unwritten
void block_ends(Block& block);
void thread_begins(Thread& thread);
void previous_kernel_awaited(Thread& thread);
void thread_runs(Thread* thread);  // until the next call; null: none
// The kernel's parameters, which the running thread may read.
void parameters(const void* begin, std::size_t bytes);
// Memory that fibers run on, and which is nobody's business.
void stack_made(const void* begin, std::size_t bytes);

// Device memory that was given back. What is allocated starts without values, by itself.
void memory_freed(const void* begin, std::size_t bytes);

Actor* set_running(Actor* actor);  // gives back who ran before

// What runs in its scope is not the running thread's doing: meanings of collectives, completions
// of asynchronous work. Only what is told counts.
class Unobserved {
 public:
  Unobserved() {
    if constexpr (kEnabled) actor_ = set_running(nullptr);
  }
  ~Unobserved() {
    if constexpr (kEnabled) set_running(actor_);
  }
  Unobserved(const Unobserved&) = delete;
  Unobserved& operator=(const Unobserved&) = delete;

 private:
  Actor* actor_ = nullptr;
};

// Everything that any of them did before is before everything that any of them does next.
void join(std::span<Thread* const> threads);
// What the thread did so far is before what comes after an acquire of the same object. An object
// is any address; that of an mbarrier's phase differs from that of its next one.
void release(Thread& thread, const void* object);
void acquire(Thread& thread, const void* object);
// Nobody acquires what was released into the object so far: it is new, or used again.
void forget(const void* object);
// __threadfence: relaxed atomics release what was before it, and give what they saw to what is
// behind it.
void fence(Thread& thread);
// fence.proxy.async: what comes before it, also by others, may be read by asynchronous work that
// is issued later. Work of the async proxy that reads shared memory finds other writes unfenced.
void proxy_fence(Thread& thread);

// Accesses that the simulator makes on a thread's behalf: instructions.
void read(Thread& thread, const void* address, std::size_t bytes, const Site& site);
void write(Thread& thread, const void* address, std::size_t bytes, const Site& site);

// What a matrix instruction of the kernel that runs computes.
void multiply_adds(std::uint64_t count);

// Asynchronous work (async.h) is an actor of its own, named by its ticket. It begins with what its
// issuer has done so far, and runs beside whatever the issuer does next: its accesses race with
// those of every thread, the issuer too, that has not learned of its end. A thread learns of it
// by a wait for the work's group, or by acquiring the mbarrier that the work released itself into.
//
// What it writes is told at its issue, so that who looks too early meets it; what it reads then or
// when it completes. Poison that the issue puts into the target is not told. `async_proxy`: TMA and
// wgmma; not cp.async, which is generic.
void work_begins(std::uint64_t work, Thread& issuer, const char* what, bool async_proxy = false);
void work_reads(std::uint64_t work, const void* address, std::size_t bytes, const Site& site);
void work_writes(std::uint64_t work, const void* address, std::size_t bytes, const Site& site);
// What the work did is before what comes after an acquire of the object.
void work_releases(std::uint64_t work, const void* object);
// What the work did is before what the thread does next.
void work_joins(Thread& waiter, std::uint64_t work);

}  // namespace convoy::sim::access
