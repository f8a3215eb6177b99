// SPDX-License-Identifier: MIT
#pragma once
// Errors of the access checker. None of these returns: a hook's thread is abandoned, since compiled
// code does not expect it to throw; everyone else gets an Error.

#include <optional>

#include "kernels/sim/access/detector.h"
#include "kernels/sim/memory.h"

namespace convoy::sim::access {

[[noreturn]] void report_outside(const Access& access, const BlockShadow& block);
[[noreturn]] void report_outside(const Access& access, const std::optional<Allocation>& nearest);
// Unless it is the doing of the library or of the simulator, inlined into the kernel.
void report_foreign(const Access& access);
// By a thread that has not waited for the stream's previous kernel.
[[noreturn]] void report_too_early(const Access& access);
// The byte of the access that nobody wrote.
[[noreturn]] void report_unwritten(const Access& access, std::size_t byte);
[[noreturn]] void report_misaligned(const Access& access, std::size_t alignment, const Site& site);
// Arithmetic whose result C++ does not define: what was done, at the site.
[[noreturn]] void report_undefined(Actor& actor, const char* what, const Site& site);
[[noreturn]] void report_race(const Access& access, const Epoch& before, const char* did,
                              bool recycled);
[[noreturn]] void report_unfenced(const Access& access, const Epoch& write);

}  // namespace convoy::sim::access
