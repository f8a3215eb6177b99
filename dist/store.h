// SPDX-License-Identifier: MIT
#pragma once
// A few small values that all ranks of a job see, by name: how they find each other, compare what
// they are about to do, and tell that they are alive. On rank 0's machine over TCP, or in a shared
// folder.
//
//   const auto store = open_store(place, timeout);      // returns once rank 0 has been found
//   if (place.rank == 0) store->set("id", id);
//   id = store->wait("id", timeout);

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "dist/launch.h"

namespace convoy::dist {

class Store {
 public:
  virtual ~Store() = default;
  // Values are bytes, up to 64 KiB; keys up to 256 characters. May be called from any thread.
  virtual void set(const std::string& key, const std::string& value) = 0;
  virtual std::optional<std::string> get(const std::string& key) = 0;
  // Waits until somebody has set it; throws Error that names the key after `timeout`.
  std::string wait(const std::string& key, std::chrono::milliseconds timeout);
};

// The store that place.init names; of one rank without an `init`, one in memory. Throws Error when
// rank 0 has not been found within `timeout`.
std::unique_ptr<Store> open_store(const Place& place, std::chrono::milliseconds timeout);
std::unique_ptr<Store> memory_store();

}  // namespace convoy::dist
