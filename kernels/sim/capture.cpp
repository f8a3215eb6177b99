// SPDX-License-Identifier: MIT
#include "kernels/sim/capture.h"

namespace convoy::sim {

Capture::Capture(std::source_location begun, bool everywhere, bool relaxed)
    : begun_(begun),
      everywhere_(everywhere),
      relaxed_(relaxed),
      thread_(std::this_thread::get_id()) {
  add_lane();
}

unsigned Capture::add_lane() {
  const auto lane = static_cast<unsigned>(latest_.size());
  latest_.push_back({{lane, 0}, {}});
  return lane;
}

Mark Capture::add(unsigned lane, const Request& request, const std::vector<Mark>& waits) {
  Node node{lane, request, {}};
  Mark& latest = latest_[lane];
  ++latest.at.count;
  for (const Mark& mark : waits) {
    latest.clock.join(mark.clock);
    node.waits.push_back(mark.at);
  }
  latest.clock.add(latest.at);
  nodes_.push_back(std::move(node));
  return latest;
}

std::optional<unsigned> Capture::unjoined() const {
  for (unsigned lane = 1; lane < latest_.size(); ++lane) {
    if (!latest_[0].clock.has(latest_[lane].at)) return lane;
  }
  return {};
}

bool Capture::forbids_this_thread() const {
  return !relaxed_ && (everywhere_ || thread_ == std::this_thread::get_id());
}

Replay::Replay(std::shared_ptr<const Capture> capture, Streams& streams)
    : capture_(std::move(capture)), streams_(streams) {
  for (std::size_t lane = 1; lane < capture_->lanes(); ++lane) own_.push_back(streams.create());
}

Replay::~Replay() {
  for (unsigned stream : own_) streams_.destroy(stream);
}

void Replay::launch(unsigned stream) {
  std::vector<std::vector<Mark>> marks(capture_->lanes());
  if (last_) streams_.enqueue(stream, {}, {*last_});
  for (const Capture::Node& node : capture_->nodes()) {
    std::vector<Mark> waits;
    for (const Point& point : node.waits) waits.push_back(marks[point.stream][point.count - 1]);
    const unsigned lane = node.lane;
    const unsigned on = lane == 0 ? stream : own_[lane - 1];
    marks[lane].push_back(streams_.enqueue(on, node.request, waits));
  }
  last_ = streams_.latest(stream);
}

}  // namespace convoy::sim
