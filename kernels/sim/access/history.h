// SPDX-License-Identifier: MIT
#pragma once
// What an actor knows of others: a vector clock (Mattern 1989), kept by block. Most knowledge comes
// from barriers, after which one number, the floor, says it for a whole block; single threads and
// works are listed only where they are ahead of that.

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/sim/access.h"

namespace convoy::sim::access {

using HistoryPointer = std::shared_ptr<const History>;

bool covers(const WorkMarks& marks, std::uint32_t work);
void add(WorkMarks& marks, std::uint32_t work);
void merge(WorkMarks& into, const WorkMarks& from);

class History {
 public:
  struct Part {
    std::uint32_t block = 0;
    std::uint32_t floor = 0;             // of every thread; not of works
    std::vector<std::uint32_t> threads;  // by rank, where they are ahead
    std::vector<WorkMarks> works;        // by their issuer's rank
  };

  // Whether it holds the clock of a slot of a block.
  bool has(std::uint32_t block, std::uint32_t slot, std::uint32_t clock) const;
  std::uint32_t floor(std::uint32_t block) const;
  bool covers(const History& other) const;

  void merge(const History& other);
  void add_thread(std::uint32_t block, std::uint32_t rank, std::uint32_t clock);
  void add_work(std::uint32_t block, std::uint32_t rank, std::uint32_t work);
  // What the actor knows, and what it did itself.
  void add_actor(const Actor& actor, bool and_what_it_knows = true);
  // Every thread of the block, up to the clock; single threads are forgotten.
  void raise_floor(std::uint32_t block, std::uint32_t clock);
  Part& part(std::uint32_t block);
  const Part* find(std::uint32_t block) const;

 private:
  std::vector<Part> parts_;  // by block
};

// a and b together; one of them where it covers the other.
HistoryPointer merged(const HistoryPointer& a, const HistoryPointer& b);
// All that the actor did and knows.
HistoryPointer snapshot(const Actor& actor);

}  // namespace convoy::sim::access
