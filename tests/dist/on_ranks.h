// SPDX-License-Identifier: MIT
#pragma once
// Ranks as threads of the test, each with a store of its own.

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "dist/store.h"
#include "tests/support/errors.h"

namespace convoy::testing {

// What each rank gave back or, where it threw, its error's text.
inline std::vector<std::string> on_ranks(
    int world_size, const dist::Place& like,
    const std::function<std::string(int, dist::Store&)>& body,
    std::chrono::milliseconds timeout = std::chrono::seconds(20)) {
  std::vector<std::string> results(static_cast<std::size_t>(world_size));
  std::vector<std::jthread> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.emplace_back([&, rank] {
      dist::Place place = like;
      place.rank = rank;
      place.world_size = world_size;
      std::string& result = results[static_cast<std::size_t>(rank)];
      const std::string error =
          error_of([&] { result = body(rank, *dist::open_store(place, timeout)); });
      if (!error.empty()) result = error;
    });
  }
  ranks.clear();
  return results;
}

// Every rank sets a value under its name and reads all others': "abc" for three.
inline std::string exchange(int rank, int world_size, dist::Store& store) {
  std::string all;
  store.set("value/" + std::to_string(rank), std::string(1, static_cast<char>('a' + rank)));
  for (int other = 0; other < world_size; ++other) {
    all += store.wait("value/" + std::to_string(other), std::chrono::seconds(20));
  }
  return all;
}

}  // namespace convoy::testing
