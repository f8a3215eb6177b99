// SPDX-License-Identifier: MIT
#include "dist/store_session.h"

#include <algorithm>

#include "dist/store_entry.h"
#include "kernels/require.h"

namespace convoy::dist {

constexpr std::size_t kMaxStoreBytes = 64 << 20;

std::string gone_key(int rank) { return "gone/" + std::to_string(rank); }

std::string StoreValues::admit(const Hello& hello) {
  if (hello.job != job_) return "this port belongs to another job";
  const int world_size = static_cast<int>(ranks_.size());
  if (hello.world_size != world_size) {
    return fmt::format("rank {} has been started with {} ranks, rank 0 with {}", hello.rank,
                       hello.world_size, world_size);
  }
  if (hello.rank < 0 || hello.rank >= world_size) {
    return fmt::format("there is no rank {} among {}", hello.rank, world_size);
  }
  Presence& presence = ranks_[static_cast<std::size_t>(hello.rank)];
  if (presence != Presence::absent) {
    return fmt::format("another process is, or was, rank {}", hello.rank);
  }
  presence = Presence::present;
  return {};
}

void StoreValues::leave(int rank, bool orderly) {
  ranks_[static_cast<std::size_t>(rank)] = Presence::left;
  if (!orderly) set(gone_key(rank), "");
}

bool StoreValues::set(const std::string& key, const std::string& value) {
  const auto found = values_.find(key);
  const std::size_t before = found == values_.end() ? 0 : key.size() + found->second.size();
  const std::size_t after = bytes_ - before + key.size() + value.size();
  if (after > kMaxStoreBytes) return false;
  bytes_ = after;
  values_[key] = value;
  return true;
}

const std::string* StoreValues::find(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() ? nullptr : &found->second;
}

int StoreValues::present() const {
  return static_cast<int>(std::ranges::count(ranks_, Presence::present));
}

std::optional<std::string> StoreSession::answer() {
  if (over_) return std::nullopt;
  try {
    const std::optional<Frame> next = reader_.next();
    if (!next) return std::nullopt;
    return is_rank() ? answer_to(*next) : greet(*next);
  } catch (const Error& error) {
    return refuse(error.what());
  }
}

std::string StoreSession::greet(const Frame& hello) {
  if (hello.kind != FrameKind::hello) return refuse("store: expects a greeting first");
  const Hello who = read_hello(hello.body);
  const std::string reason = values_->admit(who);
  if (!reason.empty()) return refuse("store: " + reason);
  rank_ = who.rank;
  reader_.allow(kMaxFrameBytes);
  return frame(FrameKind::done);
}

std::string StoreSession::answer_to(const Frame& request) {
  switch (request.kind) {
    case FrameKind::set: {
      const Entry entry = read_entry(request.body);
      check_store_entry(entry.key, entry.value.size());
      if (!values_->set(entry.key, entry.value)) return refuse("store: no room for more values");
      return frame(FrameKind::done);
    }
    case FrameKind::get: {
      const std::string* value = values_->find(request.body);
      return value == nullptr ? frame(FrameKind::absent) : frame(FrameKind::value, *value);
    }
    case FrameKind::bye:
      values_->leave(rank_, /*orderly=*/true);
      over_ = true;
      return frame(FrameKind::done);
    default:
      return refuse("store: expects set, get or bye");
  }
}

std::string StoreSession::refuse(std::string_view reason) {
  disconnected();
  return frame(FrameKind::refused, reason);
}

void StoreSession::disconnected() {
  if (is_rank() && !over_) values_->leave(rank_, /*orderly=*/false);
  over_ = true;
}

}  // namespace convoy::dist
