// SPDX-License-Identifier: MIT
#include "data/prefetch.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <utility>

#include "data/prefetch_ring.h"
#include "kernels/require.h"
#include "runtime/seconds.h"

namespace convoy::data {
namespace {

using Clock = std::chrono::steady_clock;
using Ring = PrefetchRing<>;

// Of threads that are started while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

Ring::Count batches_from(const LoadingPlan& plan, std::int64_t first) {
  if (plan.options.training) return Ring::Count{1} << 62;
  return static_cast<Ring::Count>(plan.sampler.batches_per_epoch() - first);
}

const char* text_of(WorkerPhase phase) {
  switch (phase) {
    case WorkerPhase::waiting:
      return "waiting for";
    case WorkerPhase::reading:
      return "reading";
    case WorkerPhase::decoding:
      break;
  }
  return "decoding";
}

}  // namespace

LoaderStats& LoaderStats::operator+=(const LoaderStats& other) {
  batches += other.batches;
  bytes += other.bytes;
  starved_s += other.starved_s;
  blocked_s += other.blocked_s;
  filling_s += other.filling_s;
  return *this;
}

LoaderStats LoaderStats::operator-(const LoaderStats& earlier) const {
  return {.batches = batches - earlier.batches,
          .bytes = bytes - earlier.bytes,
          .starved_s = starved_s - earlier.starved_s,
          .blocked_s = blocked_s - earlier.blocked_s,
          .filling_s = filling_s - earlier.filling_s};
}

PrefetchedBatch::PrefetchedBatch(const LoadingPlan& plan)
    : memory(plan.options.device, plan.rows(), plan.options.row, plan.options.pixels),
      errors(static_cast<std::size_t>(plan.rows())),
      skipped(errors.size()) {}

// What a worker touches.
struct Prefetch::Shared {
  Shared(std::shared_ptr<const LoadingPlan> the_plan, std::int64_t of_epoch, std::int64_t position)
      : plan(std::move(the_plan)),
        first(position / plan->options.batch_size),
        epoch(of_epoch),
        ring(plan->options.depth, static_cast<int>(plan->rows()), batches_from(*plan, first)),
        watches(static_cast<std::size_t>(plan->options.workers) + 1) {
    for (int i = 0; i < plan->options.depth; ++i) slots.emplace_back(*plan);
  }

  // Errors are contents of their row: a batch is delivered whatever happens.
  void fill(RowFiller& filler, const Ring::Row& row) {
    PrefetchedBatch& slot = slots[static_cast<std::size_t>(row.slot)];
    const auto r = static_cast<std::size_t>(row.row);
    slot.errors[r] = nullptr;
    try {
      const std::int64_t batch = first + static_cast<std::int64_t>(row.batch);
      const std::int64_t per_epoch = plan->sampler.batches_per_epoch();
      filler.fill(slot.memory.batch(), row.row, epoch + batch / per_epoch,
                  batch % per_epoch * plan->options.batch_size, slot.skipped[r]);
    } catch (...) {
      slot.errors[r] = std::current_exception();
    }
    ring.deliver(row);
  }

  std::shared_ptr<const LoadingPlan> plan;
  std::int64_t first, epoch;  // the first batch, counted from the beginning of its epoch
  Ring ring;
  std::deque<PrefetchedBatch> slots;
  std::vector<WorkerWatch> watches;  // the last is the consumer's
  std::atomic<std::int64_t> blocked_ns = 0, filling_ns = 0;

  std::mutex stuck_mutex;  // the watchdog's, not on the path of a sample
  std::condition_variable_any stuck_wake;
  std::string stuck;
};

Prefetch::Prefetch(std::shared_ptr<const LoadingPlan> plan, std::int64_t epoch,
                   std::int64_t position)
    : shared_(std::make_shared<Shared>(std::move(plan), epoch, position)) {
  const LoaderOptions& options = shared_->plan->options;
  used_.reserve(static_cast<std::size_t>(options.depth));
  const SignalsBlocked blocked;  // they are for the thread that asked for the batches
  try {
    for (std::size_t i = 0; i < static_cast<std::size_t>(options.workers); ++i) {
      workers_.emplace_back([shared = shared_, i] { work(shared, i); });
    }
    if (options.deadline_s > 0 && !workers_.empty()) {
      watchdog_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    }
  } catch (const std::system_error&) {
    // No more threads to be had: as many as there are, or next() itself.
  }
}

// The watchdog goes on until all workers have ended or are given up. What one that is left behind
// works on stays for ever: it may come back as late as when the program ends, when no device is
// there any more that memory could be given back to.
Prefetch::~Prefetch() {
  static auto& left_behind = *new std::vector<std::shared_ptr<Shared>>;
  shared_->ring.stop();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    const bool ended = shared_->watches[i].wait_for_end() == WorkerWatch::ended;
    ended ? workers_[i].join() : workers_[i].detach();
    if (!ended) left_behind.push_back(shared_);
  }
}

void Prefetch::work(const std::shared_ptr<Shared>& shared, std::size_t worker) {
  WorkerWatch& watch = shared->watches[worker];
  RowFiller filler(*shared->plan, watch);
  for (Clock::time_point start = Clock::now();;) {
    const auto row = shared->ring.claim();
    const Clock::time_point claimed = Clock::now();
    shared->blocked_ns += (claimed - start) / std::chrono::nanoseconds(1);
    if (!row) break;
    shared->fill(filler, *row);
    watch.wait();
    start = Clock::now();
    shared->filling_ns += (start - claimed) / std::chrono::nanoseconds(1);
  }
  watch.set(WorkerWatch::ended);
}

// With one slot, or when all are in use, the device's work has to be waited for.
void Prefetch::give_back() {
  std::deque<PrefetchedBatch>& slots = shared_->slots;
  while (!used_.empty()) {
    const BatchMemory& oldest = slots[static_cast<std::size_t>(used_.front())].memory;
    if (!oldest.is_free()) {
      if (used_.size() < slots.size()) return;
      oldest.wait_until_free();
    }
    shared_->ring.release({static_cast<Ring::Count>(stats_.batches) - used_.size(), used_.front()});
    used_.erase(used_.begin());
  }
}

void Prefetch::fill_here() {
  if (!own_) own_ = std::make_unique<RowFiller>(*shared_->plan, shared_->watches.back());
  const auto start = Clock::now();
  for (std::int64_t r = 0; r < shared_->plan->rows(); ++r) {
    shared_->fill(*own_, *shared_->ring.claim());
  }
  shared_->filling_ns += (Clock::now() - start) / std::chrono::nanoseconds(1);
}

PrefetchedBatch& Prefetch::next() {
  give_back();
  const auto start = Clock::now();
  if (workers_.empty()) fill_here();
  const auto batch = shared_->ring.take();
  stats_.starved_s += seconds_since(start);
  if (!batch) {
    const std::lock_guard lock(shared_->stuck_mutex);
    fail_data("loader: {}", shared_->stuck);
  }
  used_.push_back(batch->slot);
  ++stats_.batches;
  PrefetchedBatch& slot = shared_->slots[static_cast<std::size_t>(batch->slot)];
  stats_.bytes += static_cast<std::int64_t>(slot.memory.batch().images.size());
  return slot;
}

LoaderStats Prefetch::stats() const {
  LoaderStats stats = stats_;
  stats.blocked_s = 1e-9 * static_cast<double>(shared_->blocked_ns.load());
  stats.filling_s = 1e-9 * static_cast<double>(shared_->filling_ns.load());
  return stats;
}

// Each worker is told of once per sample at half the deadline, and given up at the deadline.
void Prefetch::watch(const std::stop_token& stop) {
  const LoadingPlan& plan = *shared_->plan;
  const std::chrono::duration<double> deadline(plan.options.deadline_s);
  const auto pause = std::min(deadline / 20, std::chrono::duration<double>(1));
  std::vector<Clock::time_point> told(workers_.size());
  std::unique_lock lock(shared_->stuck_mutex);
  while (!stop.stop_requested()) {
    shared_->stuck_wake.wait_for(lock, stop, pause, [] { return false; });
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      const WorkerWatch::Sight sight = shared_->watches[i].look();
      const std::chrono::duration<double> age = Clock::now() - sight.since;
      if (sight.phase == WorkerPhase::waiting || age < deadline / 2) continue;
      const std::string what =
          fmt::format("worker {} has been {} {} for {:.3g} s, expected at most {:.3g} s", i,
                      text_of(sight.phase), plan.dataset->sample_name(sight.index), age.count(),
                      deadline.count());
      if (age >= deadline) {
        shared_->stuck = what;
        shared_->watches[i].set(WorkerWatch::given_up);
        shared_->ring.stop();
      } else if (plan.options.on_stall && std::exchange(told[i], sight.since) != sight.since) {
        plan.options.on_stall(what);
      }
    }
  }
}

}  // namespace convoy::data
