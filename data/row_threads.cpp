// SPDX-License-Identifier: MIT
#include "data/row_threads.h"

#include <algorithm>
#include <exception>
#include <system_error>
#include <thread>
#include <vector>

namespace convoy::data {

void for_each_row(std::int64_t rows, int threads, const std::function<void(std::int64_t)>& work) {
  const std::int64_t pieces = std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(rows, 1));
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(pieces));
  const auto run = [&](std::int64_t piece) {
    try {
      const std::int64_t end = rows * (piece + 1) / pieces;
      for (std::int64_t row = rows * piece / pieces; row < end; ++row) work(row);
    } catch (...) {
      errors[static_cast<std::size_t>(piece)] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    std::int64_t started = 1;
    try {
      for (; started < pieces; ++started) helpers.emplace_back(run, started);
    } catch (const std::system_error&) {
      // No more threads to be had: this one does the rest.
    }
    run(0);
    for (; started < pieces; ++started) run(started);
  }
  // Pieces are in the order of the rows, so the first error is the lowest row's.
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace convoy::data
