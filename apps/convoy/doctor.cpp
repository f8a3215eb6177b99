// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "apps/convoy/command.h"
#include "kernels/vendor/library.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

std::string first_line_with(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

void say(bool good, const std::string& what, const std::string& found) {
  fmt::print("  {:<4} {:<22} {}\n", good ? "ok" : "--", what, found);
}

double memory_gib() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<double>(sysconf(_SC_PAGE_SIZE)) / (1 << 30);
}

double free_gib(const char* folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  return error ? 0 : static_cast<double>(space.available) / (1 << 30);
}

void check_build() {
  fmt::print("build\n");
  say(true, "convoy", CONVOY_VERSION);
  say(true, "compiler", "g++ " __VERSION__);
  say(kHasSim, "sim device", kHasSim ? "built" : "not in this build");
  say(kHasCuda, "cuda device", kHasCuda ? "built" : "not in this build");
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
  say(free_gib(".") > 1, "disk, this folder", fmt::format("{:.1f} GiB free", free_gib(".")));
  say(free_gib("/dev/shm") > 0.1, "/dev/shm", fmt::format("{:.1f} GiB free", free_gib("/dev/shm")));
}

// Only cuda uses them: that one is missing is nothing wrong elsewhere.
void check_libraries() {
  fmt::print("vendor libraries, looked for at run time\n");
  for (const VendorLibrary& library : vendor_libraries()) {
    say(library.loaded, library.title, library.text);
  }
}

}  // namespace

int run_doctor(const Arguments& arguments) {
  CLI::App app("Check this machine and this build.", "convoy doctor");
  if (!parse(app, arguments)) return 0;
  check_build();
  check_machine();
  check_libraries();
  fmt::print("devices\n");
  for (const Device& device : available_devices()) {
    say(true, to_text(device), backend(device).description());
  }
  return 0;
}

}  // namespace convoy::apps
