// SPDX-License-Identifier: MIT
#include "runtime/graph.h"

namespace convoy {

bool has_graphs(const Device& device) {
  return backend(device).is_asynchronous() && allocator(device).is_caching();
}

Graph::Graph(const Device& device) : Graph(backend(device), allocator(device)) {}

Graph::Graph(DeviceBackend& backend, Allocator& memory)
    : backend_(backend),
      memory_(memory),
      pool_(memory.create_pool()),
      stream_(backend),
      joined_(backend),
      last_(backend) {}

Graph::~Graph() {
  last_.settle();
  if (graph_ != nullptr) backend_.destroy_graph(graph_);
  memory_.drop_pool(pool_);
}

Stream Graph::callers_stream() const { return current_stream(backend_.default_stream().device); }

void Graph::run(const std::function<void()>& step) {
  require(graph_ == nullptr, "graph: expects to run eagerly before its capture, found it captured");
  memory_.settle();
  const Stream caller = callers_stream();
  joined_.record(caller);
  joined_.hold(stream_.get());
  {
    const PoolScope from(memory_, pool_);
    const StreamScope on(stream_.get());
    step();
  }
  joined_.record(stream_.get());
  joined_.hold(caller);
}

void Graph::capture(const std::function<void()>& step, Where where) {
  require(graph_ == nullptr, "graph: expects one capture, found it captured already");
  memory_.settle();
  joined_.record(stream_.get());
  backend_.begin_capture(stream_.get(), where);
  try {
    const PoolScope from(memory_, pool_);
    const StreamScope on(stream_.get());
    step();
  } catch (...) {
    try {
      backend_.destroy_graph(backend_.end_capture(stream_.get()));
    } catch (...) {  // the step's error is the one to tell
    }
    throw;
  }
  graph_ = backend_.end_capture(stream_.get());
  memory_.seal_pool(pool_);
}

void Graph::replay(Where where) {
  require(graph_ != nullptr, "graph: expects a capture before a replay, found none");
  const Stream caller = callers_stream();
  joined_.hold(caller);  // what the eager runs left on our stream
  backend_.launch_graph(graph_, caller, where);
  last_.record(caller, where);
}

}  // namespace convoy
