// SPDX-License-Identifier: MIT
#pragma once
// Memory that a kernel touches and that no GPU has: stacks, the program's constants, its
// parameters, and what the simulator allocates while a kernel runs. All else is the host's, and an
// error. To tell the last two apart, `new` takes from a range of its own during a launch
// (own_memory.cpp).

#include <cstddef>

namespace convoy::sim::access {

bool is_own_memory(const void* address);
// The caller's stack, where most of it lies.
bool is_on_stack(const void* address);
void add_stack(const void* begin, std::size_t bytes);
void set_parameters(const void* begin, std::size_t bytes);
void set_launch(const void* begin, std::size_t bytes);
// Whether `new` on this thread is the simulator's.
void allocate_as_own(bool on);

}  // namespace convoy::sim::access
