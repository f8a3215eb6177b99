// SPDX-License-Identifier: MIT
#pragma once
// While it lives, Ctrl-C and SIGTERM ask to stop instead of ending the process; a second one ends
// it at once.
//
//   const StopSignal stop;
//   while (more() && !stop.came()) work();

#include <csignal>

namespace convoy::apps {

class StopSignal {
 public:
  StopSignal() {
    came_ = 0;
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, on_signal);
  }
  ~StopSignal() {
    for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, SIG_DFL);
  }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool came() const { return came_ != 0; }

 private:
  static void on_signal(int signal) {
    came_ = 1;
    std::signal(signal, SIG_DFL);
  }
  static inline volatile std::sig_atomic_t came_ = 0;
};

}  // namespace convoy::apps
