// SPDX-License-Identifier: MIT
#pragma once
// More than 48 KB of dynamic shared memory needs the kernel's consent, on each device. What is
// consented to is the last number that was named, not the largest: a kernel that is launched with
// now more, now less, is asked for more alone.

#include <cstddef>
#include <map>
#include <mutex>
#include <utility>

namespace convoy {

class SharedConsent {
 public:
  static constexpr std::size_t kWithoutAsking = 48 << 10;

  // Calls ask(), which may throw, where the kernel has not yet consented to so many bytes.
  template <class Ask>
  void want(const void* kernel, int device, std::size_t bytes, Ask ask) {
    if (bytes <= kWithoutAsking) return;
    const std::lock_guard lock(mutex_);
    std::size_t& most = most_[{kernel, device}];
    if (bytes <= most) return;
    ask();
    most = bytes;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<const void*, int>, std::size_t> most_;
};

}  // namespace convoy
