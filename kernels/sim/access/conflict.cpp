// SPDX-License-Identifier: MIT
// Two accesses conflict if one of them writes, unless both are atomic; conflicting ones must be
// ordered.
#include <algorithm>

#include "kernels/sim/access/detector.h"
#include "kernels/sim/access/order.h"
#include "kernels/sim/access/report.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {
namespace {

ReaderKind kind_of(Kind kind) {
  return kind == Kind::read          ? ReaderKind::plain
         : kind == Kind::atomic_read ? ReaderKind::atomic_read
                                     : ReaderKind::atomic_write;
}

bool conflict(Kind now, ReaderKind before) {
  switch (now) {
    case Kind::read:
      return before == ReaderKind::atomic_write;
    case Kind::write:
      return true;
    case Kind::atomic_read:
      return false;
    case Kind::atomic_write:
    case Kind::atomic_update:
      return before == ReaderKind::plain;
  }
  return true;
}

Reader reader_of(const Epoch& epoch, ReaderKind kind) {
  const unsigned lane = epoch.slot() % kWarpSize;
  return {epoch.block, 1u << lane, epoch.who - (lane << kClockBits),
          epoch.where | static_cast<std::uint32_t>(kind) << 30};
}

bool same_warp(const Reader& a, const Reader& b) {
  return a.block == b.block && (a.warp_and_clock ^ b.warp_and_clock) >> kClockBits == 0;
}

void add_to(Readers& set, const Reader& added, const Actor& me) {
  const auto end = set.all.begin() + set.count;
  const auto same = std::find_if(set.all.begin(), end, [&](const Reader& other) {
    return other.kind() == added.kind() && same_warp(other, added);
  });
  if (same != end && unordered_lane(*same, me) >= 0) {
    same->lanes |= added.lanes;
    same->warp_and_clock = std::min(same->warp_and_clock, added.warp_and_clock);
    return;
  }
  // Whoever conflicts with one that comes before conflicts with the new one too.
  const auto old = same != end ? same : std::find_if(set.all.begin(), end, [&](const Reader& r) {
    return r.kind() == added.kind() && unordered_lane(r, me) < 0;
  });
  if (old != end) {
    *old = added;
  } else if (set.count < Readers::kCapacity) {
    set.all[set.count++] = added;
  } else {
    set.all[set.turn++ % Readers::kCapacity] = added;
  }
}

void add_reader(Cell& cell, const Epoch& mine, ReaderKind kind, const Actor& me) {
  if (!cell.many) {
    if (cell.read.block == 0 || (cell.read_kind == kind && is_before(cell.read, me))) {
      cell.read = mine;
      cell.read_kind = kind;
      return;
    }
    const std::uint32_t number = readers.take();
    readers[number].all[0] = reader_of(cell.read, cell.read_kind);
    readers[number].count = 1;
    cell.many = true;
    cell.read.block = number;
  }
  add_to(readers[cell.read.block], reader_of(mine, kind), me);
}

const char* done_by(ReaderKind kind) {
  return kind == ReaderKind::plain         ? "read"
         : kind == ReaderKind::atomic_read ? "read atomically"
                                           : "changed atomically";
}

void check_readers(const Cell& cell, const Access& access) {
  if (!cell.many) {
    if (conflict(access.kind, cell.read_kind) && !is_before(cell.read, access.actor)) {
      report_race(access, cell.read, done_by(cell.read_kind), false);
    }
    return;
  }
  const Readers& set = readers[cell.read.block];
  for (unsigned i = 0; i < set.count; ++i) {
    const Reader& reader = set.all[i];
    if (!conflict(access.kind, reader.kind())) continue;
    const int lane = unordered_lane(reader, access.actor);
    if (lane < 0) continue;
    report_race(access, reader.epoch(static_cast<unsigned>(lane)), done_by(reader.kind()), false);
  }
}

void touch(Cell& cell, const Access& access) {
  const Actor& me = access.actor;
  const Epoch mine{me.block, who_of(me), access.where};
  if (!is_before(cell.write, me)) report_race(access, cell.write, "wrote", cell.recycled);
  if (access.kind == Kind::write) {
    if (cell.read.block != 0) check_readers(cell, access);
    if (cell.many) readers.give(cell.read.block);
    cell.read = {};
    cell.many = cell.recycled = false;
    cell.write = mine;
    return;
  }
  if (me.async_proxy && !is_fenced(cell.write, me)) report_unfenced(access, cell.write);
  const bool again = !cell.many && cell.read.block == mine.block && cell.read.who == mine.who &&
                     cell.read_kind == kind_of(access.kind);
  if (again) return;
  if (cell.read.block != 0 &&
      (cell.many || cell.read_kind != ReaderKind::plain || access.kind != Kind::read)) {
    check_readers(cell, access);
  }
  add_reader(cell, mine, kind_of(access.kind), me);
}

}  // namespace

void check_order(Cell* cells, std::size_t first, std::size_t last, const Access& access) {
  for (std::size_t at = first; at < last;) {
    Cell& cell = cells[at / kCellBytes];
    const std::size_t end = std::min(last, at / kCellBytes * kCellBytes + kCellBytes);
    if (end - at == kCellBytes && cell.split == 0) {
      touch(cell, access);
    } else {
      Split& parts = split(cell);
      for (std::size_t byte = at; byte < end; ++byte) touch(parts[byte % kCellBytes], access);
    }
    at = end;
  }
}

}  // namespace convoy::sim::access
