// SPDX-License-Identifier: MIT
#include "kernels/sim/access/order.h"

#include "kernels/sim/access/history.h"
#include "kernels/sim/access/operations.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {

bool in_current_operation(std::uint32_t block) {
  const OperationSpan& span = current_span();
  return block - span.first < span.count;
}

bool is_before(const Epoch& epoch, const Actor& me) {
  if (epoch.block == 0) return true;
  const std::uint32_t slot = epoch.slot(), clock = epoch.clock();
  if (epoch.block == me.block) {
    if (slot == me.slot && (slot < kWorkSlot || clock == me.now)) return true;
    if (slot < kWorkSlot && clock <= me.floor) return true;
    if (slot < kWorkSlot && slot / kWarpSize == me.slot / kWarpSize && clock <= me.warp_floor) {
      return true;
    }
    if (slot == me.slot + kWorkSlot && covers(me.works, clock)) return true;
  } else if (!in_current_operation(epoch.block)) {
    return is_before_current(epoch.block);
  }
  return me.known && me.known->has(epoch.block, slot, clock);
}

int unordered_lane(const Reader& reader, const Actor& me) {
  // What a barrier said of all threads, and another operation of all its own.
  const bool is_thread = reader.epoch(0).slot() < kWorkSlot;
  if (is_thread && reader.block == me.block && reader.clock() <= me.floor) return -1;
  for (std::uint32_t lanes = reader.lanes; lanes != 0; lanes &= lanes - 1) {
    const int lane = __builtin_ctz(lanes);
    if (!is_before(reader.epoch(static_cast<unsigned>(lane)), me)) return lane;
    if (!in_current_operation(reader.block)) return -1;
  }
  return -1;
}

bool is_fenced(const Epoch& write, const Actor& me) {
  if (!me.async_proxy || write.block == 0 || write.slot() >= kWorkSlot) return true;
  if (!in_current_operation(write.block)) return true;
  return me.fenced && me.fenced->has(write.block, write.slot(), write.clock());
}

}  // namespace convoy::sim::access
