// SPDX-License-Identifier: MIT
#include "kernels/sim/access/history.h"

#include <algorithm>
#include <bit>

#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {
namespace {

void settle(WorkMarks& marks) {
  const int done = std::countr_one(marks.beyond);
  marks.base += static_cast<std::uint32_t>(done);
  marks.beyond = done == 64 ? 0 : marks.beyond >> done;
}

// Works that fall out of the window count as known: an error may be missed, none is invented.
void advance(WorkMarks& marks, std::uint32_t base) {
  if (base <= marks.base) return;
  const std::uint32_t by = base - marks.base;
  marks.beyond = by >= 64 ? 0 : marks.beyond >> by;
  marks.base = base;
}

template <class T>
T& grown(std::vector<T>& values, std::size_t index) {
  if (values.size() <= index) values.resize(index + 1);
  return values[index];
}

}  // namespace

bool covers(const WorkMarks& marks, std::uint32_t work) {
  if (work <= marks.base) return true;
  const std::uint32_t ahead = work - marks.base - 1;
  return ahead < 64 && (marks.beyond >> ahead & 1u) != 0;
}

void add(WorkMarks& marks, std::uint32_t work) {
  if (work <= marks.base) return;
  if (work > marks.base + 64) advance(marks, work - 64);
  marks.beyond |= std::uint64_t{1} << (work - marks.base - 1);
  settle(marks);
}

void merge(WorkMarks& into, const WorkMarks& from) {
  if (from.base == into.base && from.beyond == into.beyond) return;
  if (from.base == 0 && from.beyond == 0) return;
  WorkMarks other = from;
  if (into.base < other.base) std::swap(into, other);
  advance(other, into.base);
  into.beyond |= other.beyond;
  settle(into);
}

const History::Part* History::find(std::uint32_t block) const {
  const auto at =
      std::lower_bound(parts_.begin(), parts_.end(), block,
                       [](const Part& part, std::uint32_t b) { return part.block < b; });
  return at == parts_.end() || at->block != block ? nullptr : &*at;
}

History::Part& History::part(std::uint32_t block) {
  const auto at =
      std::lower_bound(parts_.begin(), parts_.end(), block,
                       [](const Part& part, std::uint32_t b) { return part.block < b; });
  if (at != parts_.end() && at->block == block) return *at;
  return *parts_.insert(at, Part{block, 0, {}, {}});
}

bool History::has(std::uint32_t block, std::uint32_t slot, std::uint32_t clock) const {
  const Part* part = find(block);
  if (part == nullptr) return false;
  if (slot < kWorkSlot) {
    return clock <= part->floor || (slot < part->threads.size() && clock <= part->threads[slot]);
  }
  const std::uint32_t rank = slot - kWorkSlot;
  return rank < part->works.size() && access::covers(part->works[rank], clock);
}

std::uint32_t History::floor(std::uint32_t block) const {
  const Part* part = find(block);
  return part == nullptr ? 0 : part->floor;
}

bool History::covers(const History& other) const {
  return std::all_of(other.parts_.begin(), other.parts_.end(), [&](const Part& theirs) {
    const Part* mine = find(theirs.block);
    if (mine == nullptr || mine->floor < theirs.floor) return false;
    for (std::size_t i = 0; i < theirs.threads.size(); ++i) {
      const std::uint32_t known =
          std::max(mine->floor, i < mine->threads.size() ? mine->threads[i] : 0);
      if (theirs.threads[i] > known) return false;
    }
    for (std::size_t i = 0; i < theirs.works.size(); ++i) {
      WorkMarks both = i < mine->works.size() ? mine->works[i] : WorkMarks{};
      const WorkMarks before = both;
      access::merge(both, theirs.works[i]);
      if (both.base != before.base || both.beyond != before.beyond) return false;
    }
    return true;
  });
}

void History::merge(const History& other) {
  for (const Part& theirs : other.parts_) {
    Part& mine = part(theirs.block);
    mine.floor = std::max(mine.floor, theirs.floor);
    if (mine.threads.size() < theirs.threads.size()) mine.threads.resize(theirs.threads.size());
    for (std::size_t i = 0; i < theirs.threads.size(); ++i) {
      mine.threads[i] = std::max(mine.threads[i], theirs.threads[i]);
    }
    if (mine.works.size() < theirs.works.size()) mine.works.resize(theirs.works.size());
    for (std::size_t i = 0; i < theirs.works.size(); ++i) {
      access::merge(mine.works[i], theirs.works[i]);
    }
  }
}

void History::add_thread(std::uint32_t block, std::uint32_t rank, std::uint32_t clock) {
  std::uint32_t& known = grown(part(block).threads, rank);
  known = std::max(known, clock);
}

void History::add_work(std::uint32_t block, std::uint32_t rank, std::uint32_t work) {
  access::add(grown(part(block).works, rank), work);
}

void History::add_actor(const Actor& actor, bool and_what_it_knows) {
  if (and_what_it_knows && actor.known) merge(*actor.known);
  const bool is_work = actor.slot >= kWorkSlot;
  const std::uint32_t rank = actor.slot % kWorkSlot;
  Part& own = part(actor.block);
  own.floor = std::max(own.floor, actor.floor);
  if (actor.warp_floor > actor.floor) {
    const std::uint32_t first = rank / kWarpSize * kWarpSize;
    for (std::uint32_t lane = first; lane < first + kWarpSize; ++lane) {
      add_thread(actor.block, lane, actor.warp_floor);
    }
  }
  add_thread(actor.block, rank, is_work ? actor.issued : actor.now);
  if (actor.works.base != 0 || actor.works.beyond != 0) {
    access::merge(grown(part(actor.block).works, rank), actor.works);
  }
  if (is_work) add_work(actor.block, rank, actor.now);
}

void History::raise_floor(std::uint32_t block, std::uint32_t clock) {
  Part& own = part(block);
  own.floor = std::max(own.floor, clock);
  own.threads.clear();
}

HistoryPointer merged(const HistoryPointer& a, const HistoryPointer& b) {
  if (!b || a == b) return a;
  if (!a) return b;
  if (a->covers(*b)) return a;
  if (b->covers(*a)) return b;
  auto both = std::make_shared<History>(*a);
  both->merge(*b);
  return both;
}

HistoryPointer snapshot(const Actor& actor) {
  auto all = std::make_shared<History>();
  all->add_actor(actor);
  return all;
}

}  // namespace convoy::sim::access
