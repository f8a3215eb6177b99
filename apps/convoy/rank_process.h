// SPDX-License-Identifier: MIT
#pragma once
// One rank that `convoy launch` has started: this program again, in a process of its own that ends
// when the launcher does. What it prints is passed on line by line, with its rank before it.

#include <poll.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "apps/convoy/command.h"
#include "apps/convoy/outlet.h"

namespace convoy::apps {

// Lines out of pieces of output, each with "[rank 2] " before it.
class PrefixedLines {
 public:
  explicit PrefixedLines(int rank) : prefix_("[rank " + std::to_string(rank) + "] ") {}
  std::string take(std::string_view piece);  // the lines that are whole now
  std::string rest();                        // what is left at the end, as a line

 private:
  std::string prefix_, line_;
};

class RankProcess {
 public:
  using Variables = std::vector<std::pair<std::string, std::string>>;

  // Runs /proc/self/exe with `arguments`; variables without a value are removed. Rank 0's standard
  // output is the launcher's; the other ranks' goes to `output`, and all errors to `errors`. Throws
  // Error.
  RankProcess(int rank, const Arguments& arguments, const Variables& variables, Outlet& output,
              Outlet& errors);
  ~RankProcess();  // kills it
  RankProcess(RankProcess&& other) noexcept;
  RankProcess& operator=(RankProcess&&) = delete;

  int rank() const { return rank_; }
  pid_t pid() const { return pid_; }
  bool is_running() const { return running_; }
  bool is_stopped() const { return stopped_; }
  // Once it has ended: its exit code, or 128 + the signal that killed it.
  int exit_code() const { return exit_code_; }
  bool was_killed() const;
  // "ended with exit code 3", "was killed by signal 9 (Killed)".
  std::string how_it_ended() const;

  void send(int signal) const;
  bool look();  // for a change of state: true when it has just ended

  // What it has printed, as far as the outlets take it; where there may be more to be waited for.
  void pass_on_output();
  void add_pipes_to(std::vector<pollfd>& polled) const;

 private:
  struct Pipe {
    int descriptor;  // -1: no more
    Outlet* to;
    PrefixedLines lines;
  };
  static void pass_on(Pipe& pipe);

  int rank_;
  pid_t pid_ = -1;
  bool running_ = true, stopped_ = false;
  int status_ = 0, exit_code_ = 0;
  Pipe output_, errors_;
};

}  // namespace convoy::apps
