// SPDX-License-Identifier: MIT
#pragma once
// Stream capture: what is enqueued on a capturing stream is written down instead, with its order,
// and replayed as often as one likes. A capture has lanes: that of the stream where it began, and
// one per stream that joined by waiting for one of its events.

#include <cstddef>
#include <memory>
#include <optional>
#include <source_location>
#include <thread>
#include <vector>

#include "kernels/sim/streams.h"

namespace convoy::sim {

class Capture {
 public:
  // `everywhere`: no thread may make a forbidden call while it lasts; otherwise its own may not.
  Capture(std::source_location begun, bool everywhere, bool relaxed);

  unsigned add_lane();
  Mark add(unsigned lane, const Request& request, const std::vector<Mark>& waits = {});
  const Mark& latest(unsigned lane) const { return latest_[lane]; }
  bool ordered_before_next(Point point, unsigned lane) const {
    return latest_[lane].clock.has(point);
  }
  // The first lane with work that the beginning stream does not wait for.
  std::optional<unsigned> unjoined() const;

  bool forbids_this_thread() const;
  const std::source_location& begun() const { return begun_; }

  bool invalid = false;

  struct Node {
    unsigned lane;
    Request request;
    std::vector<Point> waits;
  };
  const std::vector<Node>& nodes() const { return nodes_; }
  std::size_t lanes() const { return latest_.size(); }

 private:
  std::source_location begun_;
  bool everywhere_, relaxed_;
  std::thread::id thread_;
  std::vector<Node> nodes_;
  std::vector<Mark> latest_;
};

// A captured graph, ready to run. Lanes other than the first have streams of their own; two
// launches of one graph never overlap.
class Replay {
 public:
  Replay(std::shared_ptr<const Capture> capture, Streams& streams);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  void launch(unsigned stream);

 private:
  std::shared_ptr<const Capture> capture_;
  Streams& streams_;
  std::vector<unsigned> own_;  // stream of lane i + 1
  std::optional<Mark> last_;
};

}  // namespace convoy::sim
