// SPDX-License-Identifier: MIT
#pragma once
// Meeting the other ranks: each publishes in the store where it listens, and connects with all.

#include <chrono>
#include <memory>
#include <string>

#include "dist/store.h"

namespace gloo::transport {
class Context;
class Device;
}  // namespace gloo::transport

namespace convoy::dist {

struct GlooConnections {
  std::shared_ptr<gloo::transport::Device> device;
  std::shared_ptr<gloo::transport::Context> context;  // a pair for each other rank
};

// Throws Error when a rank does not come in time, PeerError when one cannot be reached. Ranks that
// are to meet name the same prefix. From then on SIGPIPE is blocked in the calling thread, which is
// the one to send, and in Gloo's own.
GlooConnections connect_by_gloo(Store& store, int rank, int world_size,
                                std::chrono::milliseconds timeout, const std::string& prefix,
                                const std::string& address);

}  // namespace convoy::dist
