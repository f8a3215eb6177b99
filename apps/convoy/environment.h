// SPDX-License-Identifier: MIT
#pragma once
// The environment's variables that convoy reads, for `convoy doctor`.

#include <string>

namespace convoy::apps {

// What is wrong with CONVOY_… = value as this process has it: a name that nothing reads, or a value
// that its reader refuses. Empty: nothing.
std::string problem_of_variable(const std::string& name);

}  // namespace convoy::apps
