// SPDX-License-Identifier: MIT
#include "apps/convoy/environment.h"

#include <cstdlib>
#include <vector>

#include "apps/convoy/arguments.h"
#include "dist/fault.h"
#include "kernels/launch_log.h"
#include "kernels/multiprocessors.h"
#include "kernels/require.h"
#include "runtime/allocator.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

struct Variable {
  const char* name;
  void (*read)() = [] {};  // throws, if the value is not taken
};

const Variable kVariables[] = {
    {"CONVOY_ALLOCATOR", [] { Allocator allocator(backend(Device{})); }},
    {"CONVOY_CPU"},
    {"CONVOY_CUBLASLT_PATH"},
    {"CONVOY_CUDNN_PATH"},
    {"CONVOY_DATA"},  // of tests and scripts
    {"CONVOY_FAULT", [] { dist::parse_fault(std::getenv("CONVOY_FAULT")); }},
    {"CONVOY_JOB"},
    {"CONVOY_MULTIPROCESSORS", [] { multiprocessors_to_use(1); }},
    {"CONVOY_NCCL_PATH"},
    {"CONVOY_PROGRAMMATIC", [] { launches_are_programmatic(); }},
    {"CONVOY_SIM_DEVICES", [] { available_devices(); }},
    {"CONVOY_SYNC", [] { launches_wait(); }},
};

}  // namespace

std::string problem_of_variable(const std::string& name) {
  std::vector<std::string> names;
  for (const Variable& variable : kVariables) {
    names.push_back(variable.name);
    if (variable.name != name) continue;
    try {
      variable.read();
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }
  const std::string guess = nearest(name, names);
  return "nothing reads it" + (guess.empty() ? "" : "; did you mean " + guess + "?");
}

}  // namespace convoy::apps
