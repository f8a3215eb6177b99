// SPDX-License-Identifier: MIT
#pragma once
// Numbers of blocks: every block of every launch has one of its own, and so has every copy and
// fill, so that an access of long ago still says by whom it was.

#include <cstdint>
#include <string>

#include "kernels/sim/stream_order.h"

namespace convoy::sim {
struct Launch;
}

namespace convoy::sim::access {

struct OperationSpan {
  std::uint32_t first = 0, count = 0;
  OperationId id = 0;
  const void* kernel = nullptr;  // null: a copy or a fill
  std::uint32_t grid_x = 1, grid_y = 1, block_x = 1, block_y = 1;
};

// The operation that begins now, with so many blocks; what ran before is compared with it.
const OperationSpan& begin_operation(std::uint32_t blocks, const Launch* launch);
const OperationSpan& current_span();
// Of a block's number.
const OperationSpan& span_of(std::uint32_t block);
bool is_before_current(std::uint32_t block);
// "kernel fill_each<float> on stream 2, enqueued at ..."
std::string describe(const OperationSpan& span);
// "thread (3,0,0) of block (0,0,0)"; of a work, its issuer.
std::string describe_thread(std::uint32_t block, std::uint32_t slot);

}  // namespace convoy::sim::access
