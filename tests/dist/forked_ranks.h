// SPDX-License-Identifier: MIT
#pragma once
// Ranks as processes of their own, which a test may kill, stop and let go on. What they say on
// standard error is kept. Made before the test starts a thread; nobody outlives it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/temporary_folder.h"

namespace convoy::testing {

// Seconds that ranks get beyond the timeout to end.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr double kToEnd = 20;
#else
inline constexpr double kToEnd = 2;
#endif

class ForkedRanks {
 public:
  struct Ended {
    int code = -1, signal = 0;  // exit code, or what killed it
    double at = 0;              // when await saw it, on the steady clock
    std::string err;
  };

  // A rank ends with 0 when `body` returns, with 7 and its text when it throws.
  ForkedRanks(int world_size, const std::function<void(int rank)>& body)
      : ended_(static_cast<std::size_t>(world_size)) {
    for (int rank = 0; rank < world_size; ++rank) {
      const pid_t pid = fork();
      if (pid == 0) run(rank, body);
      pids_.push_back(pid);
    }
  }
  ~ForkedRanks() {
    for (const pid_t pid : pids_) {
      if (pid <= 0) continue;
      kill(pid, SIGKILL);
      waitpid(pid, nullptr, 0);
    }
  }

  void send(int rank, int signal) { kill(pids_[static_cast<std::size_t>(rank)], signal); }

  // Waits for its end; a rank that has not ended in time is killed and is an error.
  Ended await(int rank, double limit = 30) {
    pid_t& pid = pids_[static_cast<std::size_t>(rank)];
    Ended& ended = ended_[static_cast<std::size_t>(rank)];
    int status = 0;
    while (pid > 0) {
      const bool late = now() > start_ + limit;
      if (late) kill(pid, SIGKILL);
      if (waitpid(pid, &status, late ? 0 : WNOHANG) == pid) {
        EXPECT_FALSE(late) << "rank " << rank << " did not end";
        pid = 0;
        ended.at = now();
        ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        ended.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        ended.err = file_text(folder_ / std::to_string(rank));
      } else {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    }
    return ended;
  }
  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

 private:
  [[noreturn]] void run(int rank, const std::function<void(int)>& body) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string file = folder_ / std::to_string(rank);
    const int descriptor = open(file.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(descriptor, STDERR_FILENO);
    try {
      body(rank);
      _exit(0);
    } catch (const std::exception& error) {
      dprintf(STDERR_FILENO, "convoy: %s\n", error.what());
      _exit(7);
    }
  }

  TemporaryFolder folder_;
  double start_ = now();
  std::vector<pid_t> pids_;
  std::vector<Ended> ended_;
};

}  // namespace convoy::testing
