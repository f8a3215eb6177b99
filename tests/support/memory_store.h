// SPDX-License-Identifier: MIT
#pragma once
// A store among the threads of one process.

#include <condition_variable>
#include <map>
#include <mutex>

#include "dist/store.h"
#include "kernels/require.h"

namespace convoy::dist {

class MemoryStore final : public Store {
 public:
  void set(const std::string& key, const std::string& value) override {
    const std::lock_guard lock(mutex_);
    values_[key] = value;
    changed_.notify_all();
  }
  std::optional<std::string> get(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    return found == values_.end() ? std::nullopt : std::optional(found->second);
  }
  std::string wait(const std::string& key, std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    const bool there = changed_.wait_for(lock, timeout, [&] { return values_.contains(key); });
    require(there, "store: expects {} within {} ms, found nothing", key, timeout.count());
    return values_[key];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, std::string> values_;
};

}  // namespace convoy::dist
