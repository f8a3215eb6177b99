// SPDX-License-Identifier: MIT
#pragma once
// A place in a kernel's source: where a barrier, a wait or a bounds check stands. Error texts name
// it, and the mutation run switches single sites off without a rebuild.
//
//   void __syncthreads(Site site = Site::here());    // the caller's line

#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace convoy::sim {

struct Site {
  const char* file = "";
  const char* function = "";
  std::uint32_t line = 0, column = 0;

  // constexpr, not consteval: g++ 12 evaluates the latter where the default argument is written.
  static constexpr Site here(std::source_location at = std::source_location::current()) {
    return {at.file_name(), at.function_name(), at.line(), at.column()};
  }
};

bool same_place(const Site& a, const Site& b);
std::string to_text(const Site& site);  // "kernels/gpu/reduce.cu:41"

// What a mutant does to one site: a barrier, wait or fence does not happen; a bounds check is one
// too wide or one too narrow.
enum class Mutation : std::uint8_t { skip, widen, narrow };

namespace mutation {

inline bool watching = false;  // any of the below is on: the fast path is one load

struct Seen {
  Site site;
  bool is_bound;  // a bounds check; otherwise a barrier, wait or fence
};

// Collects the sites that a run passes, each once, in order of file and line.
void record();
std::vector<Seen> stop_recording();

// One site is mutated until clear().
void plant(const Site& site, Mutation how);
void clear();

bool skips_slowly(const Site& site);
int shift_slowly(const Site& site);

}  // namespace mutation

// True where the barrier, wait or fence at this site is switched off.
inline bool skipped(const Site& site) { return mutation::watching && mutation::skips_slowly(site); }
// By how much the bounds check at this site is off: 0, but for a mutant.
inline int bound_shift(const Site& site) {
  return mutation::watching ? mutation::shift_slowly(site) : 0;
}

}  // namespace convoy::sim
