// SPDX-License-Identifier: MIT
#pragma once
// Where the access checker tells kernels/sim/traffic.h of accesses in global memory.

#include "kernels/sim/access/detector.h"

namespace convoy::sim::access {

// A TrafficLog is there.
extern constinit bool counts_traffic;

void count_launch(const void* kernel);  // begins
void count_cluster();                   // begins; those before it are over
void count_access(const Access& access);
void count_end();  // of the launch

}  // namespace convoy::sim::access
