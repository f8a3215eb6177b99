// SPDX-License-Identifier: MIT
// What the simulator tells: launches, blocks, accesses, asynchronous work.
#include "kernels/sim/access.h"

#include "kernels/require.h"
#include "kernels/sim/access/detector.h"
#include "kernels/sim/access/history.h"
#include "kernels/sim/access/operations.h"
#include "kernels/sim/access/own_memory.h"
#include "kernels/sim/access/symbols.h"
#include "kernels/sim/access/sync.h"
#include "kernels/sim/access/traffic.h"
#include "kernels/sim/access/works.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {

void launch_begins(const Launch& launch) {
  begin_operation(launch.grid.x * launch.grid.y * launch.grid.z, &launch);
  set_launch(&launch, sizeof launch);
  if (counts_traffic) count_launch(launch.kernel);
  allocate_as_own(true);
}

void launch_ends() noexcept {
  allocate_as_own(false);
  if (counts_traffic) count_end();
  close_all_blocks();
  forget_objects();
  forget_works();
}

namespace {
BlockShadow* opened = nullptr;  // the threads that begin next are its
}

void block_begins(Block& block) {
  if (block.rank_in_cluster == 0 && !block.gang->launch().resident) {
    if (counts_traffic) count_cluster();
    close_all_blocks();
    forget_works();
  }
  opened = &open_block(block);
}

// What its threads wrote stays known until the next block begins; nobody reads it any more.
void block_ends(Block&) {}

void thread_begins(Thread& thread) {
  const Launch& launch = thread.block->gang->launch();
  const on_sim::uint3& index = thread.block->index;
  thread.clock = {};
  thread.clock.block =
      current_span().first + (index.z * launch.grid.y + index.y) * launch.grid.x + index.x;
  thread.clock.slot = thread.rank;
  thread.clock.now = 1;
  thread.clock.home = opened;
  thread.clock.awaits_previous = launch.programmatic;
}

void previous_kernel_awaited(Thread& thread) { thread.clock.awaits_previous = false; }

void thread_runs(Thread* thread) { running = thread == nullptr ? nullptr : &thread->clock; }

void parameters(const void* begin, std::size_t bytes) { set_parameters(begin, bytes); }
void stack_made(const void* begin, std::size_t bytes) { add_stack(begin, bytes); }

Actor* set_running(Actor* actor) { return std::exchange(running, actor); }

namespace {

void check_told(const Actor& actor, const void* address, std::size_t bytes, Kind kind,
                const Site& site) {
  if (bytes == 0) return;
  check({actor, static_cast<const char*>(address), bytes, kind, where_of(site)});
}

}  // namespace

void read(Thread& thread, const void* address, std::size_t bytes, const Site& site) {
  check_told(thread.clock, address, bytes, Kind::read, site);
}
void write(Thread& thread, const void* address, std::size_t bytes, const Site& site) {
  check_told(thread.clock, address, bytes, Kind::write, site);
}

void work_begins(std::uint64_t ticket, Thread& issuer, const char* what, bool async_proxy) {
  Actor& from = issuer.clock;
  Work& work = begin_work(ticket);
  work.what = what;
  work.actor.block = from.block;
  work.actor.slot = kWorkSlot + from.slot;
  work.actor.now = ++from.issued;
  work.actor.floor = from.floor;
  work.actor.warp_floor = from.warp_floor;
  work.actor.issued = from.now;
  work.actor.works = from.works;
  work.actor.home = from.home;
  work.actor.async_proxy = async_proxy;
  work.actor.awaits_previous = from.awaits_previous;
  work.actor.known = from.known;
  work.actor.fenced = from.fenced;
  advance(from);
}

void work_reads(std::uint64_t work, const void* address, std::size_t bytes, const Site& site) {
  check_told(work_of(work).actor, address, bytes, Kind::read, site);
}
void work_writes(std::uint64_t work, const void* address, std::size_t bytes, const Site& site) {
  check_told(work_of(work).actor, address, bytes, Kind::write, site);
}
void work_releases(std::uint64_t work, const void* object) {
  release_into(object, work_of(work).actor);
}
void work_joins(Thread& waiter, std::uint64_t work) { learn(waiter.clock, work_of(work).actor); }

}  // namespace convoy::sim::access
