// SPDX-License-Identifier: MIT
#pragma once
// What wgmma does (PTX ISA, wgmma.mma_async): four warps together issue d += a b with a 64x16, b
// 16xN, and go on. Until a wait that covers it the accumulators are poison: each thread's fragment
// is written by its own wait, from what the work has computed by then.
//
// Faults: threads that bring different descriptors; accumulators that were written in flight;
// registers that no wgmma.fence precedes (asked for whenever the accumulators are not in flight
// themselves, and for every `a` in registers); a matrix that is swizzled and not at a multiple of
// 1024 bytes, or not fenced (async_source.h).

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/sim/async.h"
#include "kernels/sim/site.h"

namespace convoy::sim {

// What each thread brings.
struct WgmmaOperand {
  float* d = nullptr;
  const unsigned* a_registers = nullptr;  // 4; null: `a` is a descriptor
  std::uint64_t a = 0, b = 0;
  bool accumulate = false;  // false: what d holds does not count
  bool a_is_m_major = false, b_is_n_major = false;
  bool bf16 = false;  // otherwise f16
  std::uint32_t n = 0;
};

// Accumulators of a warpgroup that are in flight.
struct Accumulators {
  std::uint32_t warpgroup = 0, n = 0;
  std::array<float*, 128> home{};  // the threads' fragments
  std::vector<float> values;       // 64 x n
  Ticket last = 0;                 // of the products that add to them
  std::bitset<128> settled;        // threads that have them back
};

void wgmma(const WgmmaOperand& operand, const Site& site);
void wgmma_fence(const Site& site);
void wgmma_commit();
void wgmma_wait(std::uint32_t keep, const Site& site);

}  // namespace convoy::sim
