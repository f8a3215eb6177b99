// SPDX-License-Identifier: MIT
#pragma once
// The subcommands of convoy: one function in one file each. A function gets the arguments behind
// the subcommand's name and returns the exit code; what goes wrong it throws, and main prints one
// line. Exit codes: 0 done, 1 failure, 2 bad use, 3 bad data, 4 diverged, 75 stopped by a signal
// with everything saved.

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace convoy::apps {

using Arguments = std::vector<std::string>;

int run_train(const Arguments& arguments);
int run_launch(const Arguments& arguments);
int run_eval(const Arguments& arguments);
int run_predict(const Arguments& arguments);
int run_bench(const Arguments& arguments);
int run_check(const Arguments& arguments);
int run_pack(const Arguments& arguments);
int run_plan(const Arguments& arguments);
int run_synth(const Arguments& arguments);
int run_models(const Arguments& arguments);
int run_summary(const Arguments& arguments);
int run_devices(const Arguments& arguments);
int run_doctor(const Arguments& arguments);

// Parses into what the app's options are bound to. Returns false when --help was asked for (and
// printed). Throws a usage error with the nearest flag for an unknown one.
bool parse(CLI::App& app, const Arguments& arguments);

}  // namespace convoy::apps
