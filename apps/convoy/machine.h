// SPDX-License-Identifier: MIT
#pragma once
// What Linux says about the machine, for `convoy doctor`.

#include <string>
#include <vector>

namespace convoy::apps {

// The value of the first line of a file of "key : value" lines; "unknown".
std::string first_line_with(const char* path, const std::string& key);

double memory_gib();

struct Space {
  double free_gib = 0, total_gib = 0;
};
Space space_in(const char* folder);  // zeros where there is no such folder

int numa_nodes();  // at least 1

// "NCCL_DEBUG=INFO", sorted: the environment's variables that begin so.
std::vector<std::string> variables_with(const std::string& prefix);

}  // namespace convoy::apps
