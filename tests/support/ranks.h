// SPDX-License-Identifier: MIT
#pragma once
// Runs a function as each rank of a job, in a process of its own: what a training run keeps of the
// device belongs to the process. Before the first call the test has started no threads.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "kernels/require.h"

namespace convoy::testing {

inline pid_t start_rank(int rank, int world_size, const std::function<void()>& body) {
  const pid_t child = fork();
  if (child != 0) return child;
  setenv("RANK", std::to_string(rank).c_str(), 1);
  setenv("LOCAL_RANK", std::to_string(rank).c_str(), 1);
  setenv("WORLD_SIZE", std::to_string(world_size).c_str(), 1);
  setenv("LOCAL_WORLD_SIZE", std::to_string(world_size).c_str(), 1);
  int code = 0;
  try {
    body();
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank {}: {}\n", rank, error.what());
    code = 1;
  }
  std::fflush(nullptr);
  _exit(::testing::Test::HasFailure() ? 1 : code);
}

// The exit code of a child, 128 + the signal that killed it; a child that is not done after
// `seconds` is killed.
inline int await_exit(pid_t child, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Fails the test unless all ranks come to their end.
inline void run_ranks(int world_size, const std::function<void()>& body, double seconds = 120) {
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < world_size; ++rank) {
    ranks.push_back(start_rank(rank, world_size, body));
  }
  for (int rank = 0; rank < world_size; ++rank) {
    EXPECT_EQ(await_exit(ranks[static_cast<std::size_t>(rank)], seconds), 0) << "rank " << rank;
  }
}

}  // namespace convoy::testing
