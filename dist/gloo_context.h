// SPDX-License-Identifier: MIT
#pragma once
// Gloo over connections that are there already. It would make its own, and takes whoever comes to
// its ports for a rank: bytes of a stranger's end the process (dist/meeting.h makes better ones).

#include <chrono>
#include <memory>
#include <vector>

#include "dist/socket.h"

namespace gloo::transport {
class Context;
class Device;
}  // namespace gloo::transport

namespace convoy::dist {

struct GlooConnections {
  std::shared_ptr<gloo::transport::Device> device;
  std::shared_ptr<gloo::transport::Context> context;  // a pair for each other rank
};

// By rank, ours closed. From here on Gloo has them.
GlooConnections gloo_over(std::vector<Socket> sockets, int rank, std::chrono::milliseconds timeout);

}  // namespace convoy::dist
