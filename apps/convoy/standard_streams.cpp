// SPDX-License-Identifier: MIT
#include "apps/convoy/standard_streams.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace convoy::apps {

void hold_standard_descriptors() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(descriptor, F_GETFD) >= 0) continue;
    // The lowest that is free is taken: this one. Reading fails, or writing.
    if (open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

int after_output(const char* program, int code) {
  // What an earlier flush has lost is remembered by the stream alone.
  if (std::cout.flush() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  fmt::print(stderr, "{}: standard output could not be written: {}\n", program,
             std::strerror(errno));
  return code != 0 ? code : 1;
}

}  // namespace convoy::apps
