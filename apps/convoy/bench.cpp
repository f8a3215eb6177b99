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
    fmt::print(
        "usage: convoy bench comm|loader [flags]     (convoy bench WHAT --help lists them)\n");
    return 0;
  }
  const Arguments rest(arguments.begin() + (arguments.empty() ? 0 : 1), arguments.end());
  if (what == "comm") return run_bench_comm(rest);
  if (what == "loader") return run_bench_loader(rest);
  fail_usage("bench expects comm or loader, found '{}'", what);
}

}  // namespace convoy::apps
