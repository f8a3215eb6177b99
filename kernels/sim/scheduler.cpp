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

}  // namespace convoy::sim
