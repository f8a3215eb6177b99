// SPDX-License-Identifier: MIT
#pragma once
// A few small values that all ranks of a job see, by name: how they find each other, compare what
// they are about to do, and tell that they are alive. On rank 0's machine over TCP, or in a shared
// folder.

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace convoy::dist {

class Store {
 public:
  virtual ~Store() = default;
  // Values are bytes, up to 64 KiB; keys up to 256 characters. May be called from any thread.
  virtual void set(const std::string& key, const std::string& value) = 0;
  virtual std::optional<std::string> get(const std::string& key) = 0;
  // Waits until somebody has set it; throws Error that names the key after `timeout`.
  virtual std::string wait(const std::string& key, std::chrono::milliseconds timeout) = 0;
};

}  // namespace convoy::dist
