// SPDX-License-Identifier: MIT
#include "kernels/sim/scheduler.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "kernels/require.h"
#include "kernels/sim/shared_memory.h"
#include "kernels/sim/simt.h"

namespace convoy::on_sim {
constinit thread_local uint3 threadIdx{}, blockIdx{};
constinit thread_local dim3 blockDim, gridDim;
}  // namespace convoy::on_sim

namespace convoy::sim {
namespace {

// Of a multiprocessor, and at most of a thread.
constexpr unsigned kRegisters = 64 << 10, kMaxRegisters = 256;

thread_local Thread* current = nullptr;
thread_local Gang* active = nullptr;

std::uint32_t next_random(std::uint64_t& state) {  // xorshift64*
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return static_cast<std::uint32_t>((state * 0x2545F4914F6CDD1Du) >> 32);
}

on_sim::uint3 coordinates(std::uint64_t number, const on_sim::dim3& extent) {
  return {static_cast<unsigned>(number % extent.x),
          static_cast<unsigned>(number / extent.x % extent.y),
          static_cast<unsigned>(number / extent.x / extent.y)};
}

void activate(Thread* thread) {
  current = thread;
  if constexpr (access::kEnabled) access::thread_runs(thread);
  if (thread == nullptr) return;
  on_sim::threadIdx = thread->index;
  on_sim::blockIdx = thread->block->index;
}

}  // namespace

Options& options() {
  static Options options;
  return options;
}

Thread* current_thread() { return current; }

std::uint32_t Gang::random() { return next_random(random_); }

// ---- setting up and running ----

void Gang::run(const Launch& launch, std::uint64_t first, unsigned count) {
  set_up(launch, first, count);
  active = this;
  schedule();
  active = nullptr;
  if (!error_) end_blocks();
  tear_down();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Gang::set_up(const Launch& launch, std::uint64_t first, unsigned count) {
  launch_ = &launch;
  block_count_ = count;
  const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
  const unsigned warps = (threads + kWarpSize - 1) / kWarpSize;
  thread_count_ = alive_ = threads * count;
  warp_count_ = warps * count;
  if (threads_.size() < thread_count_) threads_ = std::vector<Thread>(thread_count_);
  if (warps_.size() < warp_count_) warps_ = std::vector<Warp>(warp_count_);
  if (blocks_.size() < count) blocks_ = std::vector<Block>(count);
  random_ = (options().seed + 1) * 0x9E3779B97F4A7C15u ^ (first + 1) * 0xD1B54A32D192ED03u;
  async_.start(random());
  polled_.clear();
  cluster_open_.clear();  // of a gang that ended in an error
  next_ = nullptr;
  current_warp_ = 0;
  on_sim::blockDim = launch.block;
  on_sim::gridDim = launch.grid;
  for (unsigned b = 0; b < count; ++b) set_up_block(b, first + b);
}

void Gang::set_up_block(unsigned position, std::uint64_t number) {
  const on_sim::dim3& shape = launch_->block;
  const unsigned threads = thread_count_ / block_count_, warps = warp_count_ / block_count_;
  Block& block = blocks_[position];
  block.index = coordinates(number, launch_->grid);
  block.rank_in_cluster = block.index.x % launch_->cluster;
  block.first_of_cluster = position - block.rank_in_cluster;
  block.threads = block.alive = threads;
  block.first = &threads_[position * threads];
  block.warps = &warps_[position * warps];
  block.gang = this;
  block.open.clear();
  block.accumulators.clear();
  // As many as the compiler may give each thread where one block fills the multiprocessor.
  block.registers.free = 0;
  std::ranges::fill(block.registers.of_warpgroup,
                    std::min(kMaxRegisters, kRegisters / threads / 8 * 8));
  for (unsigned w = 0; w < warps; ++w) {
    const unsigned lanes = std::min(kWarpSize, threads - w * kWarpSize);
    Warp& warp = block.warps[w];
    warp.block = &block;
    warp.members = lanes == kWarpSize ? ~0u : (1u << lanes) - 1;
    warp.ready = warp.members;
    warp.gone = ~warp.members;
    warp.open.clear();
  }
  open_shared_memory(block, launch_->shared_bytes);
  if constexpr (access::kEnabled) access::block_begins(block);
  for (unsigned t = 0; t < threads; ++t) {
    Thread& thread = block.first[t];
    thread.index = coordinates(t, shape);
    thread.rank = t;
    thread.block = &block;
    thread.state = Thread::State::fresh;
    thread.copies.clear();
    thread.bulk_reads.clear();
    thread.bulk_copies.clear();
    thread.products.clear();
    thread.products_fenced = false;
    if constexpr (access::kEnabled) access::thread_begins(thread);
  }
}

void Gang::end_blocks() {
  try {
    async_.finish_all();
    for (Block& block : blocks()) {
      if constexpr (access::kEnabled) access::block_ends(block);
      check_guards(block);
    }
  } catch (...) {
    error_ = std::current_exception();
  }
}

void Gang::tear_down() {
  activate(nullptr);
  for (unsigned t = 0; t < thread_count_; ++t) {
    threads_[t].fiber.reset();  // of a gang that ended in an error: unwound here
  }
  for (Block& block : blocks()) close_shared_memory(block);
}

void Gang::schedule() {
  while (alive_ > 0 && !error_) {
    try {
      async_.perhaps_complete();
      Thread* thread = next_ != nullptr ? std::exchange(next_, nullptr) : pick();
      while (thread == nullptr) {
        if (!wake_waiting() && !async_.complete_some()) report_deadlock();
        thread = pick();
      }
      enter(*thread);
    } catch (...) {
      error_ = std::current_exception();
    }
  }
}

// ---- who is next ----

Thread* Gang::pick() {
  if (options().schedule == Schedule::seeded) {
    // Depth first in a random order: now and then the warp changes before it has to.
    if (warps_[current_warp_].ready == 0 || random() % 8 == 0) current_warp_ = pick_warp();
  } else if (warps_[current_warp_].ready == 0) {
    current_warp_ = pick_warp();
  }
  if (warps_[current_warp_].ready == 0) return nullptr;
  return pick_lane(current_warp_);
}

unsigned Gang::pick_warp() {
  const Schedule order = options().schedule;
  const unsigned start = order == Schedule::seeded ? random() % warp_count_ : 0;
  for (unsigned i = 0; i < warp_count_; ++i) {
    unsigned warp = (start + i) % warp_count_;
    if (order == Schedule::descending) warp = warp_count_ - 1 - i;
    if (warps_[warp].ready != 0) return warp;
  }
  return current_warp_;
}

Thread* Gang::pick_lane(unsigned number) {
  Warp& warp = warps_[number];
  unsigned lane = static_cast<unsigned>(std::countr_zero(warp.ready));
  if (options().schedule == Schedule::descending) {
    lane = 31u - static_cast<unsigned>(std::countl_zero(warp.ready));
  } else if (options().schedule == Schedule::seeded) {
    const int turn = static_cast<int>(random() % kWarpSize);
    lane = (static_cast<unsigned>(std::countr_zero(std::rotr(warp.ready, turn))) +
            static_cast<unsigned>(turn)) %
           kWarpSize;
  }
  warp.ready &= ~(1u << lane);
  const unsigned first = static_cast<unsigned>(number % (warp_count_ / block_count_)) * kWarpSize;
  return &warp.block->first[first + lane];
}

void Gang::make_ready(Thread& thread) {
  thread.state = Thread::State::ready;
  thread.block->warps[thread.warp()].ready |= 1u << thread.lane();
}

bool Gang::wake_waiting() {
  bool any = false;
  std::erase_if(polled_, [&](Thread* thread) {
    activate(thread);
    const access::Unobserved polling;
    const bool ready = thread->condition(thread->condition_context);
    if (ready) make_ready(*thread);
    any |= ready;
    return ready;
  });
  activate(nullptr);
  return any;
}

// ---- entering and leaving threads ----

void Gang::enter(Thread& thread) {
  if (thread.state == Thread::State::fresh) {
    next_ = &thread;
    auto fiber = fibers_.take(&Gang::fiber_body);
    Fiber* running = fiber.get();
    thread.fiber = std::move(fiber);
    running->resume();
  } else {
    activate(&thread);
    thread.fiber->resume();
  }
  activate(nullptr);
}

// A fiber runs fresh threads one after another for as long as none of them waits; it belongs to
// the one that does.
void Gang::fiber_body() {
  for (;;) active->run_fresh();
}

void Gang::run_fresh() {
  Thread* thread = std::exchange(next_, nullptr);
  std::unique_ptr<Fiber> mine;
  for (;;) {
    activate(thread);
    try {
      launch_->thread();
      finish(*thread);
    } catch (const boost::context::detail::forced_unwind&) {
      throw;
    } catch (...) {
      error_ = std::current_exception();
    }
    mine = std::move(thread->fiber);
    next_ = error_ ? nullptr : pick();
    if (next_ == nullptr || next_->state != Thread::State::fresh) break;
    thread = std::exchange(next_, nullptr);
    thread->fiber = std::move(mine);
  }
  Fiber* self = mine.get();
  fibers_.give(std::move(mine));
  self->suspend();
}

// Barrier 0 takes every thread of the block; at the named ones some arrive and may leave.
bool is_whole_block(const Group& group) {
  return group.kind == Group::Kind::barrier && group.key == 0;
}

void Gang::finish(Thread& thread) {
  if (const Site* store = thread.bulk_reads.oldest()) {
    fault(thread, "TMA store: still reads shared memory when its thread exits; wait for its group",
          *store);
  }
  if (const Site* product = thread.products.oldest()) {
    fault(thread, "wgmma: still in flight when its thread exits; wait for its group", *product);
  }
  thread.state = Thread::State::gone;
  Block& block = *thread.block;
  Warp& warp = block.warps[thread.warp()];
  warp.gone |= 1u << thread.lane();
  --block.alive;
  --alive_;
  for (const auto& meeting : warp.open) {
    if ((meeting->group.key >> thread.lane() & 1u) != 0) {
      fault(*meeting->threads.front(),
            fmt::format("{} names lane {}, which has exited", meeting->what, thread.lane()),
            meeting->site);
    }
  }
  for (const auto& meeting : block.open) {
    if (is_whole_block(meeting->group)) {
      fault(*meeting->threads.front(),
            fmt::format("divergent barrier: {} waits for {}, which has exited", meeting->what,
                        describe(thread)),
            meeting->site);
    }
  }
}

void Gang::suspend(Thread& thread) {
  thread.state = Thread::State::waiting;
  thread.fiber->suspend();
}

void Gang::abandon(std::exception_ptr error) {
  error_ = std::move(error);
  // Never destroyed, since that would unwind it.
  static auto& abandoned = *new std::vector<std::unique_ptr<Fiber>>;
  Thread& self = *current;
  Fiber& fiber = *self.fiber;
  abandoned.push_back(std::move(self.fiber));
  fiber.suspend();
  std::abort();
}

void Gang::block_on(bool (*condition)(const void*), const void* context, const char* what,
                    Site site) {
  Thread& self = *current;
  self.condition = condition;
  self.condition_context = context;
  self.what = what;
  self.site = site;
  self.meeting = nullptr;
  polled_.push_back(&self);
  suspend(self);
}

// ---- meetings ----

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
  Thread& self = *current;
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

Group warpgroup() { return {Group::Kind::warpgroup, current->rank / 128, 128}; }

Group named_barrier(unsigned id, unsigned count) { return {Group::Kind::barrier, id, count}; }

Group whole_block() { return named_barrier(0, current->block->threads); }

Group whole_cluster() {
  const Block& block = *current->block;
  return {Group::Kind::cluster, block.first_of_cluster,
          block.threads * block.gang->launch().cluster};
}

void barrier(const Group& group, const char* what, Site site, bool wait) {
  if (skipped(site)) return;
  current_gang().meet(group, what, site, nullptr, wait, nullptr, nullptr);
}

// ---- errors ----

std::string to_text(const on_sim::uint3& index) {
  return fmt::format("({},{},{})", index.x, index.y, index.z);
}

std::string describe(const Thread& thread) {
  return fmt::format("thread {} of block {}", to_text(thread.index), to_text(thread.block->index));
}

void fault(const Thread& thread, const std::string& text, const Site& site) {
  throw Error(
      fmt::format("sim: {}, {}: {}, at {}", site.function, describe(thread), text, to_text(site)));
}

void fault(const std::string& text, const Site& site) {
  if (current != nullptr) fault(*current, text, site);
  throw Error(fmt::format("sim: {}, at {}", text, to_text(site)));
}

// One line per group of threads that wait for the same thing at the same place.
void Gang::report_deadlock() {
  std::string text;
  const Thread* shown = nullptr;
  for (unsigned t = 0; t < thread_count_; ++t) {
    const Thread& thread = threads_[t];
    if (thread.state != Thread::State::waiting) continue;
    if (shown != nullptr && shown->block == thread.block && same_place(shown->site, thread.site)) {
      continue;
    }
    shown = &thread;
    const auto alike =
        std::count_if(threads_.begin(), threads_.begin() + thread_count_, [&](const Thread& other) {
          return other.block == thread.block && other.state == Thread::State::waiting &&
                 same_place(other.site, thread.site);
        });
    text += fmt::format("\n  {} threads of block {}, the first {}, wait for {}", alike,
                        to_text(thread.block->index), to_text(thread.index), thread.what);
    if (thread.meeting != nullptr) {
      text +=
          fmt::format(" ({} of {} arrived)", thread.meeting->arrived, thread.meeting->group.count);
    }
    text += " at " + to_text(thread.site);
  }
  throw Error(
      fmt::format("sim: deadlock in a kernel of {} blocks: nobody can run{}", block_count_, text));
}

}  // namespace convoy::sim
