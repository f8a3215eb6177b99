// SPDX-License-Identifier: MIT
#include "apps/convoy/machine.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace convoy::apps {

namespace fs = std::filesystem;

std::string first_line_with(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

double memory_gib() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<double>(sysconf(_SC_PAGE_SIZE)) / (1 << 30);
}

Space space_in(const char* folder) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  if (error) return {};
  return {static_cast<double>(space.available) / (1 << 30),
          static_cast<double>(space.capacity) / (1 << 30)};
}

int numa_nodes() {
  std::error_code error;
  int nodes = 0;
  for (const auto& entry : fs::directory_iterator("/sys/devices/system/node", error)) {
    const std::string name = entry.path().filename().string();
    const bool numbered = name.size() > 4 && name.find_first_not_of("0123456789", 4) == name.npos;
    if (name.starts_with("node") && numbered) ++nodes;
  }
  return std::max(nodes, 1);
}

std::vector<std::string> variables_with(const std::string& prefix) {
  std::vector<std::string> found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::string(*entry).starts_with(prefix)) found.emplace_back(*entry);
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace convoy::apps
