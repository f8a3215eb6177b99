// SPDX-License-Identifier: MIT
#pragma once
// This process among the ranks of its job: the store they met at, and communicators for the
// device's memory and for the host's.
//
//   Group group(place_from_environment(), device, {.timeout = std::chrono::seconds(600)});
//   group.require_same("configuration", text);
//   group.communicator().all_reduce(gradients).wait();

#include <chrono>
#include <memory>
#include <string>

#include "dist/communicator.h"
#include "dist/launch.h"
#include "dist/store.h"

namespace convoy::dist {

struct GroupOptions {
  std::chrono::milliseconds timeout{600000};  // that a rank may say nothing
};

class Group {
 public:
  // Returns when all ranks have connected; throws Error that names those that have not.
  Group(const Place& place, const Device& device, const GroupOptions& options = {});

  int rank() const { return place_.rank; }
  int world_size() const { return place_.world_size; }
  Store& store() { return *store_; }
  // For tensors on the device, and beside it for values in host memory.
  Communicator& communicator() { return *communicator_; }
  Communicator& host() { return *host_; }

  // Throws Error where another rank says something else under this name: the text of rank 0 is
  // right. To be called once per name, by all ranks.
  void require_same(const std::string& name, const std::string& text);

 private:
  Place place_;
  GroupOptions options_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Communicator> communicator_, host_;
};

}  // namespace convoy::dist
