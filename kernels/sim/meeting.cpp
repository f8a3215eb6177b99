// SPDX-License-Identifier: MIT
// Collectives: who takes part, who is missing, and what the last one to arrive does.
#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/require.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim {

bool is_whole_block(const Group& group) {
  return group.kind == Group::Kind::barrier && group.key == 0;
}

std::vector<std::unique_ptr<Meeting>>& Gang::open_list(const Group& group, const Thread& self) {
  switch (group.kind) {
    case Group::Kind::lanes:
      return self.block->warps[self.warp()].open;
    case Group::Kind::cluster:
      return cluster_open_;
    default:
      return self.block->open;
  }
}

void Gang::check_members(const Group& group, const char* what, Site site, const Thread& self) {
  if (group.kind == Group::Kind::lanes) {
    const Warp& warp = self.block->warps[self.warp()];
    if ((group.key >> self.lane() & 1u) == 0) {
      fault(fmt::format("{}: the mask does not name the calling lane {}", what, self.lane()), site);
    }
    if (const std::uint32_t exited = group.key & warp.gone; exited != 0) {
      fault(fmt::format("{} names lane {}, which has exited", what, std::countr_zero(exited)),
            site);
    }
  }
  if (is_whole_block(group) && self.block->alive < self.block->threads) {
    fault(fmt::format("divergent barrier: {} waits for {} threads of the block that have exited",
                      what, self.block->threads - self.block->alive),
          site);
  }
}

// Whether two groups cannot meet separately: they share members, or the barrier's number.
bool overlap(const Group& a, const Group& b) {
  if (a.kind != b.kind) return false;
  return a.kind == Group::Kind::lanes ? (a.key & b.key) != 0 : a.key == b.key;
}

// Members of one collective stand at one line. Not so at named barriers and clusters, where a
// producer and a consumer meet.
bool must_share_line(const Group& group) {
  return group.kind == Group::Kind::lanes || group.kind == Group::Kind::warpgroup ||
         is_whole_block(group);
}

Meeting& Gang::find_meeting(const Group& group, const char* what, Site site, const Thread& self) {
  auto& open = open_list(group, self);
  for (const auto& meeting : open) {
    const Group& other = meeting->group;
    if (!overlap(group, other)) continue;
    if (other.key != group.key || other.count != group.count ||
        std::strcmp(meeting->what, what) != 0 ||
        (must_share_line(group) && !same_place(meeting->site, site))) {
      fault(fmt::format("divergent {}: {}, while {} is at {}, {}",
                        group.kind == Group::Kind::lanes ? "lanes" : "barrier", what,
                        describe(*meeting->threads.front()), meeting->what, to_text(meeting->site)),
            site);
    }
    return *meeting;
  }
  if (spare_meetings_.empty()) spare_meetings_.push_back(std::make_unique<Meeting>());
  open.push_back(std::move(spare_meetings_.back()));
  spare_meetings_.pop_back();
  Meeting& meeting = *open.back();
  meeting.group = group;
  meeting.what = what;
  meeting.site = site;
  meeting.arrived = 0;
  meeting.threads.clear();
  meeting.waiting.clear();
  meeting.operands.assign(group.kind == Group::Kind::lanes       ? kWarpSize
                          : group.kind == Group::Kind::warpgroup ? 4 * kWarpSize
                                                                 : 0,
                          nullptr);
  return meeting;
}

// Tells the access checker who learns what: those who wait, of all.
void join_histories([[maybe_unused]] Meeting& meeting, [[maybe_unused]] Thread* last) {
  if constexpr (access::kEnabled) {
    if (last != nullptr) meeting.waiting.push_back(last);
    access::join(meeting.waiting);
    for (Thread* thread : meeting.waiting) access::acquire(*thread, &meeting);
    access::forget(&meeting);
    if (last != nullptr) meeting.waiting.pop_back();
  }
}

void Gang::meet(const Group& group, const char* what, Site site, void* operand, bool wait,
                void (*meaning)(void*, std::span<void* const>), void* context) {
  Thread& self = *current_thread();
  check_members(group, what, site, self);
  Meeting& meeting = find_meeting(group, what, site, self);
  meeting.threads.push_back(&self);
  if constexpr (access::kEnabled) {
    // Who does not wait brings what it did so far, and learns nothing.
    if (!wait) access::release(self, &meeting);
  }
  if (!meeting.operands.empty()) meeting.operands[self.rank % meeting.operands.size()] = operand;
  if (++meeting.arrived < group.count) {
    if (!wait) return;
    meeting.waiting.push_back(&self);
    self.meeting = &meeting;
    self.what = what;
    self.site = site;
    suspend(self);
    return;
  }
  if (meaning != nullptr) {
    const access::Unobserved in_common;
    meaning(context, meeting.operands);
  }
  join_histories(meeting, wait ? &self : nullptr);
  for (Thread* thread : meeting.waiting) {
    thread->meeting = nullptr;
    make_ready(*thread);
  }
  close(open_list(group, self), meeting);
}

void Gang::close(std::vector<std::unique_ptr<Meeting>>& open, Meeting& meeting) {
  const auto at =
      std::find_if(open.begin(), open.end(), [&](const auto& m) { return m.get() == &meeting; });
  spare_meetings_.push_back(std::move(*at));
  open.erase(at);
}

Group lanes(std::uint32_t mask) {
  return {Group::Kind::lanes, mask, static_cast<std::uint32_t>(std::popcount(mask))};
}

Group warpgroup() { return {Group::Kind::warpgroup, current_thread()->rank / 128, 128}; }

Group named_barrier(unsigned id, unsigned count) { return {Group::Kind::barrier, id, count}; }

Group whole_block() { return named_barrier(0, current_thread()->block->threads); }

Group whole_cluster() {
  const Block& block = *current_thread()->block;
  return {Group::Kind::cluster, block.first_of_cluster,
          block.threads * block.gang->launch().cluster};
}

void barrier(const Group& group, const char* what, Site site, bool wait) {
  if (skipped(site)) return;
  current_gang().meet(group, what, site, nullptr, wait, nullptr, nullptr);
}

}  // namespace convoy::sim
