// SPDX-License-Identifier: MIT
#pragma once
// What convoy bench can measure; each in a file of its name.

#include "apps/convoy/command.h"

namespace convoy::apps {

int run_bench_comm(const Arguments& arguments);
int run_bench_loader(const Arguments& arguments);

}  // namespace convoy::apps
