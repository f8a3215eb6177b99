// SPDX-License-Identifier: MIT
#include "runtime/other_uses.h"

#include <algorithm>

namespace convoy {

void OtherUses::record(const Block& block, const Stream& stream) {
  std::vector<Stream>& known = streams_[block.data];
  const auto same = [&](const Stream& s) { return s.handle == stream.handle; };
  if (std::none_of(known.begin(), known.end(), same)) known.push_back(stream);
}

bool OtherUses::put_aside(const Block& block, Where where) {
  const auto found = streams_.find(block.data);
  if (found == streams_.end()) return false;
  Aside aside{block, {}, where};
  for (const Stream& stream : found->second) aside.events.emplace_back(backend_).record(stream);
  streams_.erase(found);
  aside_.push_back(std::move(aside));
  return true;
}

void OtherUses::collect_passed(const Collect& collect) {
  const auto passed = [](const Event& event) { return event.has_passed(); };
  for (auto at = aside_.begin(); at != aside_.end();) {
    if (at->block.pool == 0 && std::all_of(at->events.begin(), at->events.end(), passed)) {
      collect(at->block, at->where);
      at = aside_.erase(at);
    } else {
      ++at;
    }
  }
}

void OtherUses::collect_all(const Collect& collect) {
  for (; !aside_.empty(); aside_.pop_front()) {
    for (const Event& event : aside_.front().events) event.synchronize();
    collect(aside_.front().block, aside_.front().where);
  }
}

}  // namespace convoy
