// SPDX-License-Identifier: MIT
#include "kernels/sim/async.h"

#include <algorithm>
#include <utility>

namespace convoy::sim {

void AsyncEngine::start(std::uint64_t seed) {
  pending_.clear();
  random_ = seed * 0x9E3779B97F4A7C15u + 1;
}

AsyncEngine::Ticket AsyncEngine::submit(AsyncWork work) {
  const Ticket ticket = next_++;
  pending_.push_back({ticket, std::move(work)});
  if (options().async == Async::eager) complete(ticket);
  return ticket;
}

bool AsyncEngine::done(Ticket ticket) const {
  return std::none_of(pending_.begin(), pending_.end(),
                      [&](const Pending& p) { return p.ticket == ticket; });
}

void AsyncEngine::complete(Ticket ticket) {
  const auto at = std::find_if(pending_.begin(), pending_.end(),
                               [&](const Pending& p) { return p.ticket == ticket; });
  if (at == pending_.end()) return;
  const std::uint64_t queue = at->work.queue;
  while (!done(ticket)) {
    const auto first = std::find_if(pending_.begin(), pending_.end(),
                                    [&](const Pending& p) { return p.work.queue == queue; });
    complete_at(static_cast<std::size_t>(first - pending_.begin()));
  }
}

bool AsyncEngine::complete_some() {
  if (pending_.empty()) return false;
  std::size_t position = 0;
  if (options().async == Async::seeded) {
    position = random() % pending_.size();
    while (!may_be_next(position)) --position;  // the first of a queue always may
  }
  complete_at(position);
  return true;
}

void AsyncEngine::perhaps_complete() {
  if (options().async == Async::seeded && !pending_.empty() && random() % 4 == 0) complete_some();
}

void AsyncEngine::finish_all() {
  while (complete_some()) {
  }
}

bool AsyncEngine::may_be_next(std::size_t position) const {
  return std::none_of(
      pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(position),
      [&](const Pending& p) { return p.work.queue == pending_[position].work.queue; });
}

void AsyncEngine::complete_at(std::size_t position) {
  Pending pending = std::move(pending_[position]);
  pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(position));
  pending.work.complete();
}

std::uint64_t AsyncEngine::random() {  // xorshift64 (Marsaglia 2003)
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

}  // namespace convoy::sim
