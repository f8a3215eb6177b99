// SPDX-License-Identifier: MIT
#include "kernels/sim/streams.h"

#include <cstring>
#include <utility>

#include "kernels/require.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/options.h"

namespace convoy::sim {
namespace {

// With more allocations than this, guard zones are looked at when the host waits, not after every
// kernel.
constexpr std::size_t kFewAllocations = 256;

}  // namespace

unsigned Streams::create() {
  for (unsigned i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    if (!queue.destroyed || !host_.has({i, queue.enqueued})) continue;
    queue.destroyed = false;
    return i;
  }
  queues_.emplace_back();
  return static_cast<unsigned>(queues_.size() - 1);
}

void Streams::destroy(unsigned stream) { queues_[stream].destroyed = true; }

Mark Streams::latest(unsigned stream) const {
  const Queue& queue = queues_[stream];
  return {{stream, queue.enqueued}, queue.clock};
}

Mark Streams::enqueue(unsigned stream, const Request& request, const std::vector<Mark>& waits) {
  Queue& queue = queues_[stream];
  Enqueued next{.id = 0, .request = request, .clock = queue.clock, .waits = {}};
  const Point at{stream, queue.enqueued + 1};
  next.clock.join(host_);
  for (const Mark& mark : waits) {
    next.clock.join(mark.clock);
    next.waits.push_back(mark.at);
  }
  next.clock.add(at);
  const Operation operation{request.what, request.where, at};
  const std::optional<Transfer>& transfer = request.transfer;
  if (transfer) {
    prepare(next.request);
    accesses_.add(operation, next.clock, touched(*transfer));
  }
  if (!request.what.empty()) next.id = remember(operation);
  const Mark mark{at, next.clock};
  queue.clock = next.clock;
  ++queue.enqueued;
  queue.pending.push_back(std::move(next));
  if (options().async == Async::eager) demand(at);
  perhaps_run_some();
  return mark;
}

// What the copy's work is, and what it finds if the host does not wait for it.
void Streams::prepare(Request& request) {
  const Transfer& transfer = *request.transfer;
  const bool later = options().async != Async::eager;
  const bool watch =
      later && transfer.from_host && !is_pending(transfer.from, transfer.bytes, true);
  if (later && transfer.to_host && !is_pending(transfer.to, transfer.bytes, false)) {
    std::memset(transfer.to, kPoison, transfer.bytes);
  }
  request.work = transfer_work(transfer, watch, request.what, request.where);
}

bool Streams::is_pending(const void* begin, std::size_t bytes, bool only_writes) const {
  for (const auto& access : accesses_.overlapping(begin, bytes)) {
    if ((access.range.writes || !only_writes) && !is_done(access.by.at)) return true;
  }
  return false;
}

void Streams::wait(const Mark& mark) {
  perhaps_run_some();
  demand(mark.at);
  host_knows(mark.clock);
  if (unchecked_ > 0) check_guards({});
}

void Streams::wait_for_all() {
  for (unsigned i = 0; i < queues_.size(); ++i) wait(latest(i));
}

bool Streams::poll(const Mark& mark) {
  if (is_done(mark.at)) {
    host_knows(mark.clock);
    return true;
  }
  if (options().async == Async::seeded) {
    run_one_at_random();
  } else {
    run_head(next_towards(mark.at));
  }
  return false;
}

// The first thing that a queue's head waits for and that is not done yet.
const Point* Streams::first_unmet(const Queue& queue) const {
  for (const Point& point : queue.pending.front().waits) {
    if (!is_done(point)) return &point;
  }
  return nullptr;
}

// The queue whose head must run next for a point to be reached. Operations wait only for earlier
// ones, so there is always one.
Streams::Queue& Streams::next_towards(Point point) {
  while (const Point* unmet = first_unmet(queues_[point.stream])) point = *unmet;
  return queues_[point.stream];
}

void Streams::demand(Point point) {
  while (!is_done(point)) {
    if (options().async != Async::seeded) {
      run_head(next_towards(point));
    } else {
      run_one_at_random();
    }
  }
}

bool Streams::run_one_at_random() {
  std::vector<Queue*> ready;
  for (Queue& queue : queues_) {
    if (!queue.pending.empty() && first_unmet(queue) == nullptr) ready.push_back(&queue);
  }
  if (ready.empty()) return false;
  run_head(*ready[random() % ready.size()]);
  return true;
}

void Streams::perhaps_run_some() {
  if (options().async != Async::seeded) return;
  // Fewer than are enqueued, so that there is a choice.
  for (std::uint64_t dice = random() % 6; dice > 3 && run_one_at_random(); --dice) {
  }
}

void Streams::run_head(Queue& queue) {
  const Enqueued now = std::move(queue.pending.front());
  queue.pending.pop_front();
  ++queue.done;
  if (!now.request.work) return;
  set_current(now.id, &now.clock);
  try {
    now.request.work();
    ++unchecked_;
    if (live_allocations() <= kFewAllocations) check_guards(now.request);
  } catch (...) {
    set_current(0, nullptr);
    forget_everything();
    throw;
  }
  set_current(0, nullptr);
}

void Streams::check_guards(const Request& last) {
  const auto since = std::exchange(unchecked_, 0);
  const auto damage = find_damage();
  if (!damage) return;
  if (since == 1) {
    throw_error(fmt::format("{}, by {}", *damage, last.what), ErrorKind::failure, last.where);
  }
  fail("{}, by one of the last {} operations", *damage, since);
}

// An error ends a GPU's work; what was enqueued behind it never runs.
void Streams::forget_everything() {
  for (unsigned i = 0; i < queues_.size(); ++i) {
    Queue& queue = queues_[i];
    queue.pending.clear();
    queue.done = queue.enqueued;
    host_.add({i, queue.enqueued});
  }
  accesses_.forget_all();
}

void Streams::host_knows(const Clock& clock) {
  host_.join(clock);
  accesses_.forget_known(host_);
}

bool Streams::ordered_before_next(Point point, unsigned stream) const {
  return host_.has(point) || queues_[stream].clock.has(point);
}

std::optional<Operation> Streams::user_of(const void* begin, std::size_t bytes) const {
  const auto users = accesses_.overlapping(begin, bytes);
  if (users.empty()) return {};
  return users.front().by;
}

void Streams::restart() {
  forget_everything();
  random_.reset();
  unchecked_ = 0;
}

// splitmix64.
std::uint64_t Streams::random() {
  if (!random_) random_ = options().seed;
  std::uint64_t z = *random_ += 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

}  // namespace convoy::sim
