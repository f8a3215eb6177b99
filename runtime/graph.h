// SPDX-License-Identifier: MIT
#pragma once
// A sequence of device work that is written down once and replayed: what a step enqueues costs the
// host one call. Kernels and copies keep their arguments, addresses included, so what changes from
// replay to replay is read from memory (kernels/step_state.h).
//
//   Graph graph(device);
//   graph.run(step);        // eagerly, at least once: afterwards the graph's pool has the memory
//   graph.capture(step);    // enqueues nothing
//   graph.replay();         // on the current stream, as often as one likes
//
// `step` runs on a stream of the graph's own and must not wait for the device or ask it anything.
// Tensors that it made stay valid until the graph is replayed or destroyed. cpu has no graphs.
// What the step does on the host is not done again by a replay.

#include <functional>
#include <source_location>

#include "runtime/allocator.h"
#include "runtime/stream.h"

namespace convoy {

// Does the device have graphs, and its allocator the cache that a graph's pool is part of?
bool has_graphs(const Device& device);

class Graph {
 public:
  using Where = std::source_location;

  explicit Graph(const Device& device);
  // For a device that has no name yet: tests.
  Graph(DeviceBackend& backend, Allocator& memory);
  // Waits for the last replay.
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void run(const std::function<void()>& step);
  // Throws Error, and leaves no graph, where the step does what a capture does not allow.
  void capture(const std::function<void()>& step, Where where = Where::current());
  void replay(Where where = Where::current());

 private:
  Stream callers_stream() const;

  DeviceBackend& backend_;
  Allocator& memory_;
  PoolId pool_;
  OwnedStream stream_;
  Event joined_;  // between the caller's stream and ours
  Event last_;    // replay
  void* graph_ = nullptr;
};

}  // namespace convoy
