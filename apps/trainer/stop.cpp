// SPDX-License-Identifier: MIT
#include "apps/trainer/stop.h"

#include <csignal>

namespace convoy::apps {
namespace {

volatile std::sig_atomic_t came = 0;

void note(int signal) {
  came = 1;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void take_signals() {
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
}

bool signal_came() { return came != 0; }

}  // namespace convoy::apps
