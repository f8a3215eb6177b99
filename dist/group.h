// SPDX-License-Identifier: MIT
#pragma once
// All ranks of a job, as a program uses them:
//
//   Group group(place_from_environment(), device, {.timeout = 5min});
//   group.run([&] {
//     group.require_same("model", "resnet20");
//     group.enter("reduce", step);
//     group.communicator().all_reduce(gradients).wait();
//   });
//
// One rank needs no store, no watch and no network.

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "dist/fault.h"
#include "dist/health.h"
#include "dist/launch.h"
#include "dist/store.h"
#include "kernels/base.h"

namespace convoy::dist {

struct GroupOptions {
  // How long a rank may take to come, to answer, to be silent.
  std::chrono::milliseconds timeout = std::chrono::seconds(600);
};

class Group {
 public:
  // Returns when all ranks have met. Throws Error that names who has not come in time, and which
  // ranks of a machine have been given the same GPU.
  Group(const Place& place, const Device& device, const GroupOptions& options = {});
  ~Group();

  int rank() const { return place_.rank; }
  int world_size() const { return place_.world_size; }
  const Place& place() const { return place_; }
  Store& store() { return *store_; }

  Communicator& communicator() { return *communicator_; }  // for the device's tensors
  Communicator& host() { return *host_; }                  // for the cpu's, beside it

  // What this rank is about to do; `phase` is a literal. True where CONVOY_FAULT says that a bit of
  // its weights flips now, which is once.
  [[nodiscard]] bool enter(const char* phase, std::int64_t step) {
    if (health_) health_->enter(phase, step);
    if (!fault_ || !fault_->meet(place_.rank, phase, step)) return false;
    const bool flips = fault_->signal == 0;
    fault_.reset();
    return flips;
  }

  // All ranks call it, in the same order: throws Error naming the ranks whose value is not rank 0's
  // and what differs first. Values are texts of up to 64 KiB.
  void require_same(const std::string& name, const std::string& value);
  // All ranks call it, in the same order: gives all what rank 0 makes, however long that takes; a
  // name is used once.
  std::string made_by_first(const std::string& name, const std::function<std::string()>& make);

  // Throws, of kind diverged, what is wrong with all ranks together. All ranks call it: each ends
  // by these words, and not because another has.
  [[noreturn]] void fail_together(const std::string& what);

  // Runs `body`. Where it throws, the others are told, and an error that comes from the loss of a
  // rank is replaced by one that names it.
  void run(const std::function<void()>& body);

 private:
  void await_all_ranks();
  void require_own_gpu(const Device& device);
  std::string own_address();
  void connect(const Device& device);
  std::string compare(const std::string& name, const std::string& round, const std::string& value);

  Place place_;
  std::chrono::milliseconds timeout_;
  std::optional<Fault> fault_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Health> health_;
  std::unique_ptr<Communicator> communicator_, host_;
  std::map<std::string, int> compared_;  // how often, by name
};

// Where a rank's GPU is: the machine, as NCCL tells machines apart, and its bus there.
struct GpuPlace {
  std::string machine, bus;
};
// Throws Error that names two ranks with one GPU.
void require_own_gpus(const std::vector<GpuPlace>& places);

// Where two texts begin to differ, as seen in each: of lines of JSON the key and its two values.
struct Difference {
  std::string first, second;
};
Difference first_difference(const std::string& first, const std::string& second);

}  // namespace convoy::dist
