// SPDX-License-Identifier: MIT
#pragma once
// Blocks that are used on streams other than their own: given back, they are put aside until these
// uses have passed.

#include <deque>
#include <functional>
#include <source_location>
#include <unordered_map>
#include <vector>

#include "runtime/block.h"
#include "runtime/stream.h"

namespace convoy {

class OtherUses {
 public:
  using Where = std::source_location;

  explicit OtherUses(DeviceBackend& backend) : backend_(backend) {}

  void record(const Block& block, const Stream& stream);
  bool has(const Block& block) const { return streams_.contains(block.data); }
  void forget(const Block& block) { streams_.erase(block.data); }
  // Asks each of the block's other streams for an event. False where it has none.
  bool put_aside(const Block& block, Where where);

  using Collect = std::function<void(const Block& block, Where where)>;
  // Everyone's blocks (pool 0) whose events have passed.
  void collect_passed(const Collect& collect);
  // All blocks, after waiting for their events.
  void collect_all(const Collect& collect);

 private:
  struct Aside {
    Block block;
    std::vector<Event> events;
    Where where;
  };

  DeviceBackend& backend_;
  std::unordered_map<void*, std::vector<Stream>> streams_;  // of live blocks
  std::deque<Aside> aside_;
};

}  // namespace convoy
