// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>

#include "apps/convoy/command.h"
#include "apps/convoy/environment.h"
#include "apps/convoy/machine.h"
#include "dist/nccl.h"
#include "kernels/vendor/built.h"
#include "kernels/vendor/library.h"
#include "runtime/cuda_info.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

void say(bool good, const std::string& what, const std::string& found) {
  fmt::print("  {:<4} {:<22} {}\n", good ? "ok" : "--", what, found);
}

void check_build() {
  fmt::print("build\n");
  say(true, "convoy", CONVOY_VERSION);
  say(true, "compiler", "g++ " __VERSION__);
  say(kHasSim, "sim device", kHasSim ? "built" : "not in this build");
  if constexpr (kHasCuda) {
    say(true, "cuda device",
        fmt::format("built for {}, CUDA {}", on_cuda::compiled_architectures(),
                    on_cuda::versions().runtime));
  } else {
    say(false, "cuda device", "not in this build");
  }
}

void say_space(const char* what, const char* folder, double enough) {
  const Space space = space_in(folder);
  say(space.free_gib > enough, what,
      fmt::format("{:.1f} of {:.1f} GiB free", space.free_gib, space.total_gib));
}

void check_machine() {
  fmt::print("machine\n");
  say(true, "processor", first_line_with("/proc/cpuinfo", "model name"));
  const std::string flags = first_line_with("/proc/cpuinfo", "flags");
  say(flags.find("avx2") != std::string::npos, "vector instructions",
      flags.find("avx512f") != std::string::npos ? "AVX-512"
      : flags.find("avx2") != std::string::npos  ? "AVX2"
                                                 : "no AVX2: this build needs it");
  say(true, "compute threads", std::to_string(compute_threads()));
  say(memory_gib() > 2, "memory", fmt::format("{:.1f} GiB", memory_gib()));
  say(true, "NUMA nodes", std::to_string(numa_nodes()));
  say_space("disk, this folder", ".", 1);
  say_space("/dev/shm", "/dev/shm", 0.1);
}

// Each GPU's place in the machine; or why there is none.
void check_cuda() {
  if constexpr (kHasCuda) {
    fmt::print("cuda\n");
    const std::string driver = on_cuda::versions().driver, problem = on_cuda::problem();
    say(!driver.empty(), "driver", driver.empty() ? "none" : "runs CUDA up to " + driver);
    if (!problem.empty()) return say(false, "devices", problem);
    for (const Device& device : available_devices()) {
      if (device.type != DeviceType::cuda) continue;
      const on_cuda::Place place = on_cuda::place(device.index);
      const double gib = 1 << 30;
      say(true, to_text(device),
          fmt::format(
              "PCI {}, {}, {:.1f} of {:.1f} GiB free", place.pci_bus,
              place.numa_node < 0 ? "no NUMA node" : fmt::format("NUMA node {}", place.numa_node),
              static_cast<double>(place.free_bytes) / gib,
              static_cast<double>(place.total_bytes) / gib));
    }
  }
}

void say_variable(const std::string& name, const std::string& value) {
  const std::string problem = name.starts_with("CONVOY_") ? problem_of_variable(name) : "";
  say(problem.empty(), name, problem.empty() ? value : problem);
}

void check_environment() {
  fmt::print("environment\n");
  for (const char* prefix : {"CONVOY_", "CUDA_", "NCCL_"}) {
    const auto set = variables_with(prefix);
    for (const std::string& variable : set) {
      const auto equals = variable.find('=');
      say_variable(variable.substr(0, equals), variable.substr(equals + 1));
    }
    if (set.empty()) say(true, fmt::format("{}*", prefix), "none set");
  }
}

bool is_built(const std::string& library) {
  if (library == "cuBLASLt") return vendor::kHasCublasLt;
  if (library == "cuDNN") return vendor::kHasCudnn;
  return dist::nccl_is_built();
}

// Only cuda uses them: that one is missing is nothing wrong elsewhere.
void check_libraries() {
  fmt::print("vendor libraries, looked for at run time\n");
  for (const VendorLibrary& library : vendor_libraries()) {
    const bool built = is_built(library.title);
    say(library.loaded && built, library.title,
        built ? library.text : "this build was made without it; here: " + library.text);
  }
}

}  // namespace

int run_doctor(const Arguments& arguments) {
  CLI::App app("Check this machine and this build.", "convoy doctor");
  if (!parse(app, arguments)) return 0;
  check_build();
  check_machine();
  check_environment();
  check_cuda();
  check_libraries();
  fmt::print("devices\n");
  for (const Device& device : available_devices()) {
    say(true, to_text(device), backend(device).description());
  }
  return 0;
}

}  // namespace convoy::apps
