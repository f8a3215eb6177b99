// SPDX-License-Identifier: MIT
#pragma once
// One object of a kind for each device, made at its first use and never destroyed: tensors with
// static storage may outlive main.

#include <map>
#include <mutex>
#include <utility>

#include "kernels/base.h"

namespace convoy {

template <class T, class Make>
T& per_device(const Device& device, Make make) {
  static std::mutex mutex;
  static auto& all = *new std::map<std::pair<DeviceType, int>, T*>;
  const std::lock_guard lock(mutex);
  T*& found = all[{device.type, device.index}];
  if (found == nullptr) found = make();
  return *found;
}

}  // namespace convoy
