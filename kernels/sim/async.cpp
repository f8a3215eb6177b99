// SPDX-License-Identifier: MIT
#include "kernels/sim/async.h"

#include <algorithm>
#include <utility>

#include "kernels/sim/scheduler.h"

namespace convoy::sim {

void AsyncEngine::start(std::uint64_t seed) {
  pending_.clear();
  random_ = seed * 0x9E3779B97F4A7C15u + 1;
}

Ticket AsyncEngine::submit(AsyncWork work, Completion complete) {
  work.ticket = next_++;
  if constexpr (access::kEnabled) {
    access::work_begins(work.ticket, *work.issuer, work.what, work.async_proxy);
  }
  if (options().async == Async::eager) {
    const access::Unobserved own_doing;
    complete(work);
  } else {
    pending_.push_back({work, std::move(complete)});
  }
  return next_ - 1;
}

bool AsyncEngine::is_pending(Ticket ticket) const {
  if (pending_.empty() || ticket < pending_.front().work.ticket) return false;
  return pending_[ticket - pending_.front().work.ticket].complete != nullptr;
}

void AsyncEngine::complete(Ticket ticket) {
  while (is_pending(ticket)) {
    complete_at(first_of_queue(static_cast<std::size_t>(ticket - pending_.front().work.ticket)));
  }
}

bool AsyncEngine::complete_some() {
  if (pending_.empty()) return false;
  std::size_t position = 0;
  if (options().async == Async::seeded) {
    position = random() % pending_.size();
    while (!pending_[position].complete) --position;  // the front is never done
  } else {
    const auto first = std::find_if(pending_.begin(), pending_.end(), [](const Pending& p) {
      return p.complete && !p.work.in_group;
    });
    if (first == pending_.end()) return false;
    position = static_cast<std::size_t>(first - pending_.begin());
  }
  complete_at(first_of_queue(position));
  return true;
}

void AsyncEngine::perhaps_complete() {
  if (options().async == Async::seeded && !pending_.empty() && random() % 4 == 0) complete_some();
}

void AsyncEngine::finish_all() {
  while (!pending_.empty()) complete_at(0);
}

std::size_t AsyncEngine::first_of_queue(std::size_t position) const {
  const std::uint64_t queue = pending_[position].work.queue;
  if (queue == 0) return position;
  const auto first = std::find_if(pending_.begin(), pending_.end(), [&](const Pending& p) {
    return p.complete && p.work.queue == queue;
  });
  return static_cast<std::size_t>(first - pending_.begin());
}

void AsyncEngine::complete_at(std::size_t position) {
  const Completion complete = std::exchange(pending_[position].complete, nullptr);
  const AsyncWork work = pending_[position].work;
  while (!pending_.empty() && !pending_.front().complete) pending_.pop_front();
  const access::Unobserved own_doing;
  complete(work);
}

std::uint64_t AsyncEngine::random() {  // xorshift64 (Marsaglia 2003)
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  return random_;
}

std::vector<Ticket> WorkGroups::take_all_but(std::uint32_t keep) {
  const auto end = std::find_if(works_.begin(), works_.end(), [&](const Member& member) {
    return member.group + keep >= committed_;
  });
  std::vector<Ticket> taken;
  for (auto at = works_.begin(); at != end; ++at) taken.push_back(at->ticket);
  works_.erase(works_.begin(), end);
  return taken;
}

}  // namespace convoy::sim
