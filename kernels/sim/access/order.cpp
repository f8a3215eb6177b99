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

namespace {

// What an actor knows of its own block by numbers: of itself or its issuer, of all, of its warp.
bool knows_thread(const Actor& me, std::uint32_t slot, std::uint32_t clock) {
  if (clock <= me.floor || slot == me.slot) return true;
  const std::uint32_t rank = me.slot % kWorkSlot;
  if (slot == rank) return clock <= me.issued;
  return slot / kWarpSize == rank / kWarpSize && clock <= me.warp_floor;
}

// Of works of its own or of its issuer.
bool knows_work(const Actor& me, std::uint32_t slot, std::uint32_t work) {
  if (slot == me.slot && work == me.now) return true;
  return slot % kWorkSlot == me.slot % kWorkSlot && covers(me.works, work);
}

}  // namespace

bool is_before(const Epoch& epoch, const Actor& me) {
  if (epoch.block == 0) return true;
  const std::uint32_t slot = epoch.slot(), clock = epoch.clock();
  if (epoch.block == me.block) {
    if (slot < kWorkSlot ? knows_thread(me, slot, clock) : knows_work(me, slot, clock)) return true;
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
