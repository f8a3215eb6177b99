// SPDX-License-Identifier: MIT
#pragma once
// Happens-before: of what is recorded, what does an actor know?

#include "kernels/sim/access/shadow.h"

namespace convoy::sim::access {

bool in_current_operation(std::uint32_t block);
// Of an epoch without a block: nothing to be before.
bool is_before(const Epoch& epoch, const Actor& me);
// The lane of a reader that is not known to be before; -1: all are.
int unordered_lane(const Reader& reader, const Actor& me);
// Generic writes are seen by the async proxy only behind a fence.proxy.async.
bool is_fenced(const Epoch& write, const Actor& me);

}  // namespace convoy::sim::access
