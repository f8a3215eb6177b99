// SPDX-License-Identifier: MIT
// Signals to a process that has asked to be told, each time in a child of its own.
#include "apps/trainer/stop.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

namespace convoy::testing {
namespace {

// The signals come one after another, a pause of so many milliseconds before each. The signal that
// ended the child; 0 where it lived on and knew that one had come.
int ended_by(const std::vector<std::pair<int, int>>& signals) {
  const pid_t child = fork();
  if (child == 0) {
    apps::take_signals();
    if (apps::signal_came()) _exit(1);
    for (const auto& [pause_ms, signal] : signals) {
      usleep(static_cast<useconds_t>(1000 * pause_ms));
      raise(signal);
      if (!apps::signal_came()) _exit(2);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(Stop, OneSignalIsAWish) {
  EXPECT_EQ(ended_by({{0, SIGINT}}), 0);
  EXPECT_EQ(ended_by({{0, SIGTERM}}), 0);
}

TEST(Stop, RepeatedAtOnceItIsTheSameWish) {
  EXPECT_EQ(ended_by({{0, SIGTERM}, {0, SIGTERM}, {20, SIGTERM}}), 0);
  EXPECT_EQ(ended_by({{0, SIGINT}, {20, SIGTERM}, {0, SIGTERM}}), 0);
}

TEST(Stop, RepeatedLaterItEndsTheProcess) {
  EXPECT_EQ(ended_by({{0, SIGTERM}, {0, SIGTERM}, {1100, SIGTERM}}), SIGTERM);
  EXPECT_EQ(ended_by({{0, SIGTERM}, {1100, SIGINT}}), SIGINT);
}

}  // namespace
}  // namespace convoy::testing
