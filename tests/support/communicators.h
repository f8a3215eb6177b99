// SPDX-License-Identifier: MIT
#pragma once
// Ranks as threads of one process, each with its own communicator.
//
//   errors_of_ranks(3, gloo(), [](std::unique_ptr<Communicator>& ranks) { ranks->barrier(); });

#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dist/gloo.h"
#include "dist/store.h"

namespace convoy::dist {

using MakeCommunicator = std::function<std::unique_ptr<Communicator>(
    Store& store, int rank, int world_size, const std::string& prefix)>;

inline MakeCommunicator gloo(std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
  return [timeout](Store& store, int rank, int world_size, const std::string& prefix) {
    return gloo_communicator(store, rank, world_size, timeout, prefix, "127.0.0.1");
  };
}

// What each rank has thrown, empty where it has thrown nothing. A rank's communicator is gone when
// its thread ends.
inline std::vector<std::string> errors_of_ranks(
    int world_size, const MakeCommunicator& make,
    const std::function<void(std::unique_ptr<Communicator>& ranks)>& run) {
  const std::unique_ptr<Store> store = memory_store();
  std::vector<std::string> errors(world_size);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        std::unique_ptr<Communicator> ranks = make(*store, rank, world_size, "test");
        run(ranks);
      } catch (const std::exception& error) {
        errors[rank] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace convoy::dist
