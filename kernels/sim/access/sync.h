// SPDX-License-Identifier: MIT
#pragma once
// How knowledge travels: barriers, objects that are released and acquired, fences.

#include <cstdint>

#include "kernels/sim/access.h"

namespace convoy::sim::access {

// The next step of an actor's time: what it does now is not part of what it released.
void advance(Actor& actor);
void release_into(const void* object, const Actor& actor);
void acquire_from(const void* object, Actor& actor);
// What a work did is before what the actor does next.
void learn(Actor& actor, const Actor& work);
void forget_objects();

// Atomics without an order of their own work through fences (CUDA's, as C++'s).
void atomic_reads(const void* object, Actor& actor, bool acquires);
void atomic_writes(const void* object, Actor& actor, bool releases);

}  // namespace convoy::sim::access
