// SPDX-License-Identifier: MIT
#include "dist/store.h"

#include <map>
#include <mutex>

#include "dist/file_store.h"
#include "dist/patience.h"
#include "dist/store_entry.h"
#include "dist/tcp_store.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

class MemoryStore final : public Store {
 public:
  void set(const std::string& key, const std::string& value) override {
    check_store_entry(key, value.size());
    const std::lock_guard lock(mutex_);
    values_[key] = value;
  }
  std::optional<std::string> get(const std::string& key) override {
    check_store_entry(key, 0);
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    if (found == values_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::string> values_;
};

}  // namespace

std::string Store::wait(const std::string& key, std::chrono::milliseconds timeout) {
  Patience patience(timeout);
  do {
    if (auto value = get(key)) return *std::move(value);
  } while (patience.pause());
  fail("store: expects '{}' to be set within {} s, but no rank has set it", key,
       in_seconds(timeout));
}

std::unique_ptr<Store> memory_store() { return std::make_unique<MemoryStore>(); }

std::unique_ptr<Store> open_store(const Place& place, std::chrono::milliseconds timeout) {
  if (place.init.empty() && place.world_size == 1) return memory_store();
  const std::string file = "file://";
  if (place.init.starts_with(file + "/")) {
    return std::make_unique<FileStore>(place.init.substr(file.size()), place, timeout);
  }
  return std::make_unique<TcpStore>(tcp_endpoint(place.init), place, timeout);
}

}  // namespace convoy::dist
