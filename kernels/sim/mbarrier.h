// SPDX-License-Identifier: MIT
#pragma once
// What an mbarrier is (PTX ISA, mbarrier): a 64-bit word of shared memory that counts arrivals and
// bytes. Its phase ends when all expected arrivals are there and no expected byte is missing; the
// next phase then expects as many arrivals again. A thread waits for a phase's end by its parity.
//
// Every member function faults where hardware leaves the outcome open: a word that init did not
// make, more arrivals in a phase than expected, bytes beyond what was expected.

#include <cstddef>
#include <cstdint>

#include "kernels/sim/async.h"
#include "kernels/sim/site.h"

namespace convoy::sim {

struct Block;

// Of the calling thread, on a word of its own block.
void mbarrier_init(void* word, std::uint32_t arrivals, const Site& site);
void mbarrier_invalidate(void* word, const Site& site);
// One arrival, after the phase has been told to expect so many bytes more.
void mbarrier_arrive(void* word, std::uint32_t bytes, const Site& site);
void mbarrier_expect(void* word, std::uint32_t bytes, const Site& site);
void mbarrier_wait(const void* word, std::uint32_t parity, const Site& site);

// The address of a place of the caller's shared memory in another block of the cluster, and an
// arrival there.
std::uint32_t map_to_rank(const void* place, std::uint32_t rank, const Site& site);
void mbarrier_arrive_remote(std::uint32_t address, const Site& site);

// The mbarrier at this place, checked as the operand of `what`.
std::byte* mbarrier_place(const Block& block, const void* word, const char* what, const Site& site);
// Asynchronous work has brought bytes.
void mbarrier_complete(std::byte* word, std::uint32_t bytes, const AsyncWork& work);

}  // namespace convoy::sim
