// SPDX-License-Identifier: MIT
#include "kernels/sim/access/sync.h"

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "kernels/require.h"
#include "kernels/sim/access/history.h"
#include "kernels/sim/access/shadow.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {
namespace {

struct Released {
  HistoryPointer known, fenced;
};
std::unordered_map<const void*, Released> objects;

void take_over(Actor& actor, const HistoryPointer& known) {
  actor.known = merged(actor.known, known);
  if (actor.known) actor.floor = std::max(actor.floor, actor.known->floor(actor.block));
}

bool is_block(std::span<Thread* const> threads) {
  const Block* block = threads.front()->block;
  return threads.size() == block->threads &&
         std::all_of(threads.begin(), threads.end(),
                     [&](const Thread* t) { return t->block == block; });
}

bool is_warp(std::span<Thread* const> threads) {
  const Thread& first = *threads.front();
  const unsigned members = std::min(kWarpSize, first.block->threads - first.warp() * kWarpSize);
  return threads.size() == members &&
         std::all_of(threads.begin(), threads.end(), [&](const Thread* t) {
           return t->block == first.block && t->warp() == first.warp();
         });
}

// Everything that the threads know from elsewhere; the same object where all know the same.
HistoryPointer merged_knowledge(std::span<Thread* const> threads, HistoryPointer Actor::*which) {
  HistoryPointer all = threads.front()->clock.*which;
  std::shared_ptr<History> own;
  const History* last = all.get();
  for (const Thread* thread : threads) {
    const History* theirs = (thread->clock.*which).get();
    if (theirs == nullptr || theirs == last || theirs == all.get()) continue;
    last = theirs;
    if (!own) own = all ? std::make_shared<History>(*all) : std::make_shared<History>();
    own->merge(*theirs);
  }
  if (own) all = own;
  return all;
}

// With the works that single threads waited for; a new floor of the block replaces what is known
// of its single threads.
HistoryPointer settled(const HistoryPointer& known, std::span<Thread* const> threads,
                       std::optional<std::uint32_t> floor) {
  const std::uint32_t block = threads.front()->clock.block;
  const History::Part* part = known ? known->find(block) : nullptr;
  const auto is_new = [&](const Actor& actor) {
    if (actor.works.base == 0 && actor.works.beyond == 0) return false;
    if (part == nullptr || actor.slot >= part->works.size()) return true;
    WorkMarks both = part->works[actor.slot];
    merge(both, actor.works);
    return both.base != part->works[actor.slot].base ||
           both.beyond != part->works[actor.slot].beyond;
  };
  const bool works = std::any_of(threads.begin(), threads.end(),
                                 [&](const Thread* t) { return is_new(t->clock); });
  const bool ahead = floor && part != nullptr && !part->threads.empty();
  if (!works && !ahead) return known;
  auto all = known ? std::make_shared<History>(*known) : std::make_shared<History>();
  if (floor) all->raise_floor(block, *floor);
  auto& marks = all->part(block).works;
  if (works && marks.size() < threads.front()->block->threads) {
    marks.resize(threads.front()->block->threads);
  }
  for (const Thread* thread : threads) {
    if (works) merge(marks[thread->rank], thread->clock.works);
  }
  return all;
}

void join_block(std::span<Thread* const> threads) {
  std::uint32_t last = 0;
  for (const Thread* thread : threads) last = std::max(last, thread->clock.now);
  const HistoryPointer known = settled(merged_knowledge(threads, &Actor::known), threads, last);
  for (Thread* thread : threads) {
    thread->clock.known = known;
    thread->clock.floor = thread->clock.warp_floor = last;
    thread->clock.now = last;
    advance(thread->clock);
  }
}

// Of the warp itself a number tells; what the lanes know of others is merged.
void join_warp(std::span<Thread* const> threads) {
  std::uint32_t last = 0, floor = 0;
  bool works = false;
  for (const Thread* thread : threads) {
    last = std::max(last, thread->clock.now);
    floor = std::max(floor, thread->clock.floor);
    works |= thread->clock.works.base != 0 || thread->clock.works.beyond != 0;
  }
  HistoryPointer known = merged_knowledge(threads, &Actor::known);
  if (works) known = settled(known, threads, {});
  for (Thread* thread : threads) {
    thread->clock.known = known;
    thread->clock.floor = floor;
    thread->clock.warp_floor = thread->clock.now = last;
    advance(thread->clock);
  }
}

void join_any(std::span<Thread* const> threads) {
  auto all = std::make_shared<History>();
  const History* last = nullptr;
  for (const Thread* thread : threads) {
    all->add_actor(thread->clock, thread->clock.known.get() != last);
    last = thread->clock.known.get();
  }
  for (Thread* thread : threads) {
    thread->clock.known = all;
    thread->clock.floor = std::max(thread->clock.floor, all->floor(thread->clock.block));
    advance(thread->clock);
  }
}

}  // namespace

void advance(Actor& actor) {
  if (++actor.now >= 1u << kClockBits) {
    fail("access checker: a thread expects fewer than {} barriers, releases and works",
         1u << kClockBits);
  }
}

void join(std::span<Thread* const> threads) {
  if (threads.size() < 2) return;
  const HistoryPointer fenced = merged_knowledge(threads, &Actor::fenced);
  if (is_block(threads)) {
    join_block(threads);
  } else if (is_warp(threads)) {
    join_warp(threads);
  } else {
    join_any(threads);
  }
  for (Thread* thread : threads) thread->clock.fenced = fenced;
}

void release_into(const void* object, const Actor& actor) {
  Released& released = objects[object];
  released.known = merged(released.known, snapshot(actor));
  released.fenced = merged(released.fenced, actor.fenced);
}

void acquire_from(const void* object, Actor& actor) {
  const auto found = objects.find(object);
  if (found == objects.end()) return;
  take_over(actor, found->second.known);
  actor.fenced = merged(actor.fenced, found->second.fenced);
}

void learn(Actor& actor, const Actor& work) {
  if (work.block == actor.block && work.slot == kWorkSlot + actor.slot) {
    add(actor.works, work.now);
  } else {
    take_over(actor, snapshot(work));
  }
}

void forget_objects() { objects.clear(); }

void release(Thread& thread, const void* object) {
  release_into(object, thread.clock);
  advance(thread.clock);
}
void acquire(Thread& thread, const void* object) { acquire_from(object, thread.clock); }
void forget(const void* object) { objects.erase(object); }

void fence(Thread& thread) {
  Actor& actor = thread.clock;
  if (actor.acquired) take_over(actor, std::exchange(actor.acquired, nullptr));
  actor.released = snapshot(actor);
  advance(actor);
}

void proxy_fence(Thread& thread) {
  thread.clock.fenced = merged(thread.clock.fenced, snapshot(thread.clock));
  advance(thread.clock);
}

void atomic_reads(const void* object, Actor& actor, bool acquires) {
  const auto found = objects.find(object);
  if (found == objects.end()) return;
  if (acquires) return acquire_from(object, actor);
  actor.acquired = merged(actor.acquired, found->second.known);
}

void atomic_writes(const void* object, Actor& actor, bool releases) {
  if (releases) {
    release_into(object, actor);
    advance(actor);
  } else if (actor.released) {
    Released& released = objects[object];
    released.known = merged(released.known, actor.released);
  }
}

}  // namespace convoy::sim::access
