// SPDX-License-Identifier: MIT
// convoy bench WHAT: one part of a training run measured alone.
#include "apps/convoy/bench.h"
#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "kernels/require.h"

namespace convoy::apps {

int run_bench(const Arguments& arguments) {
  const std::string what = arguments.empty() ? "" : arguments.front();
  if (what == "--help" || what == "-h") {
    fmt::print("usage: convoy bench loader [flags]     (convoy bench loader --help lists them)\n");
    return 0;
  }
  if (what != "loader") fail_usage("convoy bench expects loader, found '{}'", what);
  return run_bench_loader(Arguments(arguments.begin() + 1, arguments.end()));
}

}  // namespace convoy::apps
