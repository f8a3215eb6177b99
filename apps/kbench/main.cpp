// SPDX-License-Identifier: MIT
// kbench: check and time kernels, variant by variant. Exit codes: 0 all are right, 1 one is wrong
// or failed, 2 bad use, 3 a tuning table that is damaged.
#include <cstdio>
#include <exception>

#include "apps/convoy/arguments.h"
#include "apps/convoy/spinning.h"
#include "apps/convoy/standard_streams.h"
#include "apps/kbench/command.h"
#include "kernels/require.h"

int main(int argc, char** argv) {
  convoy::apps::hold_standard_descriptors();
  convoy::apps::limit_spinning(argv);
  try {
    const int code = convoy::kbench::run_command(convoy::apps::with_dashes(argc, argv));
    return convoy::apps::after_output("kbench", code);
  } catch (const convoy::Error& error) {
    fmt::print(stderr, "kbench: {}\n", error.what());
    if (error.kind() == convoy::ErrorKind::data) return 3;
    return error.kind() == convoy::ErrorKind::usage ? 2 : 1;
  } catch (const std::exception& error) {
    fmt::print(stderr, "kbench: {}\n", error.what());
    return 1;
  }
}
