// SPDX-License-Identifier: MIT
#pragma once
// kbench's command line.

#include <string>
#include <vector>

namespace convoy::kbench {

// Returns the exit code: 0 all variants are right, 1 one is not, or failed. Throws usage errors.
int run_command(std::vector<std::string> arguments);

}  // namespace convoy::kbench
