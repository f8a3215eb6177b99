// SPDX-License-Identifier: MIT
#pragma once
// Results as a table for people and as JSON.

#include <string>

#include "apps/kbench/harness.h"

namespace convoy::kbench {

std::string table(const Results& results);
// Device, driver, commit and every row; scripts/baselines writes the same form.
std::string json(const Results& results);

}  // namespace convoy::kbench
