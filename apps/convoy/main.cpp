// SPDX-License-Identifier: MIT
// convoy: train, evaluate and inspect ConvNets.
#include <cstdio>
#include <exception>
#include <new>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/convoy/spinning.h"
#include "apps/convoy/standard_streams.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(const Arguments&);
};

constexpr Command kCommands[] = {
    {"train", "train a model", run_train},
    {"launch", "start a command as many ranks: convoy launch --nproc-per-node N -- train …",
     run_launch},
    {"eval", "measure a model on a data set's held-out images", run_eval},
    {"predict", "classify image files", run_predict},
    {"bench", "measure one part alone: convoy bench comm|loader", run_bench},
    {"check", "decode every image of a data set and report what is wrong", run_check},
    {"pack", "write a data set as one file that is fast to read", run_pack},
    {"synth", "write a small data set of drawn digits as JPEG files", run_synth},
    {"models", "list the models", run_models},
    {"summary", "a model's layers, parameters, multiplications and activations", run_summary},
    {"plan", "memory and communication of a run over many ranks, before it starts", run_plan},
    {"devices", "list what this build can run on here", run_devices},
    {"doctor", "check this machine and this build", run_doctor},
};

int print_usage(std::FILE* out, int code) {
  fmt::print(out,
             "usage: convoy COMMAND [flags]        (convoy COMMAND --help lists the flags)\n\n");
  for (const Command& c : kCommands) fmt::print(out, "  {:<10} {}\n", c.name, c.summary);
  return code;
}

int dispatch(const std::string& name, const Arguments& arguments) {
  std::vector<std::string> names;
  for (const Command& c : kCommands) {
    if (name == c.name) return c.run(arguments);
    names.emplace_back(c.name);
  }
  const std::string guess = nearest(name, names);
  fail_usage("unknown command '{}'{}; convoy --help lists them", name,
             guess.empty() ? "" : ", did you mean " + guess + "?");
}

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::failure:
      return 1;
    case ErrorKind::usage:
      return 2;
    case ErrorKind::data:
      return 3;
    case ErrorKind::diverged:
      return 4;
  }
  return 1;
}

int guarded(int argc, char** argv) {
  Arguments arguments = with_dashes(argc, argv);
  if (arguments.empty()) return print_usage(stderr, 2);
  const std::string name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") return print_usage(stdout, 0);
  if (name == "--version") {
    fmt::print("convoy {}\n", CONVOY_VERSION);
    return 0;
  }
  arguments.erase(arguments.begin());
  return dispatch(name, arguments);
}

}  // namespace
}  // namespace convoy::apps

int main(int argc, char** argv) {
  convoy::apps::hold_standard_descriptors();
  convoy::apps::limit_spinning(argv);
  try {
    return convoy::apps::after_output("convoy", convoy::apps::guarded(argc, argv));
  } catch (const convoy::Error& e) {
    fmt::print(stderr, "convoy: {}\n", e.what());
    return convoy::apps::exit_code(e.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(
        stderr,
        "convoy: out of memory; try smaller sizes, as of --batch-size, --img-size or --maxbytes\n");
  } catch (const std::exception& e) {
    fmt::print(stderr, "convoy: {}\n", e.what());
  }
  return 1;
}
