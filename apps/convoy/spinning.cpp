// SPDX-License-Identifier: MIT
#include "apps/convoy/spinning.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

namespace convoy::apps {

void limit_spinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  std::error_code error;
  const std::string self = std::filesystem::read_symlink("/proc/self/exe", error).string();
  if (error || setenv("GOMP_SPINCOUNT", "10000", 1) != 0) return;
  execv(self.c_str(), argv);  // returns only when it failed: then we go on as we are
}

}  // namespace convoy::apps
