// SPDX-License-Identifier: MIT
#pragma once
// Where the simulator tells the access checker what happens. In the preset simcheck kernels are
// compiled with a call for every load and store (access.cpp has the hooks); elsewhere kEnabled is
// false and nothing of this runs.

#include <cstddef>
#include <cstdint>
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

// A thread's clock: how far it has come, and the table of what it knows of others.
struct ThreadClock {
  std::uint32_t now = 0;
  void* known = nullptr;
};

void launch_begins(const Launch& launch);
void launch_ends();
void block_begins(Block& block);  // shared memory is there, unwritten
void block_ends(Block& block);
void thread_begins(Thread& thread);

// Everything that any of them did before is before everything that any of them does next.
void join(std::span<Thread* const> threads);
// What the thread did so far is before what comes after an acquire of the same object.
void release(Thread& thread, const void* object);
void acquire(Thread& thread, const void* object);

// Accesses that the simulator makes on a thread's behalf: instructions, asynchronous work.
void read(Thread& thread, const void* address, std::size_t bytes, const Site& site);
void write(Thread& thread, const void* address, std::size_t bytes, const Site& site);

// Asynchronous work (async.h) is an actor of its own, named by its ticket. It begins with what its
// issuer has done so far, and runs beside whatever the issuer does next: its accesses race with
// those of every thread, the issuer too, that has not learned of its end. A thread learns of it
// by a wait for the work's group, or by acquiring the mbarrier that the work released itself into.
void work_begins(std::uint64_t work, Thread& issuer, const char* what);
void work_reads(std::uint64_t work, const void* address, std::size_t bytes, const Site& site);
void work_writes(std::uint64_t work, const void* address, std::size_t bytes, const Site& site);
// What the work did is before what comes after an acquire of the object.
void work_releases(std::uint64_t work, const void* object);
// What the work did is before what the thread does next. The last that is heard of the work.
void work_joins(Thread& waiter, std::uint64_t work);

}  // namespace convoy::sim::access
