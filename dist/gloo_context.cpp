// SPDX-License-Identifier: MIT
#include "dist/gloo_context.h"

#include <gloo/transport/tcp/context.h>
#include <gloo/transport/tcp/device.h>
#include <gloo/transport/tcp/pair.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

namespace tcp = gloo::transport::tcp;

bool is_listening(int descriptor) {
  int listens = 0;
  socklen_t size = sizeof listens;
  return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

// A pair begins by listening. That it stops at once, and nobody is told where: Gloo's device is on
// loopback, so that not even another machine's scan of all ports could meet it.
class Pair final : public tcp::Pair {
 public:
  Pair(tcp::Context* context, tcp::Device* device, int rank, std::chrono::milliseconds timeout,
       Socket connected)
      : tcp::Pair(context, device, rank, timeout) {
    const std::lock_guard lock(m_);
    // Where the library is another than its headers, this is no member of it.
    require(is_listening(fd_),
            "its headers and its library are not of one version; build with one");
    device_->unregisterDescriptor(fd_, this);
    ::close(fd_);
    fd_ = connected.release();
    handleConnected();
  }
};

class Context final : public tcp::Context {
 public:
  Context(std::shared_ptr<tcp::Device> device, int own_rank, std::vector<Socket> sockets,
          std::chrono::milliseconds timeout)
      : tcp::Context(std::move(device), own_rank, static_cast<int>(sockets.size())) {
    setTimeout(timeout);
    for (std::size_t peer = 0; peer < sockets.size(); ++peer) {
      if (!sockets[peer].is_open()) continue;
      pairs_[peer] = std::make_unique<Pair>(this, device_.get(), static_cast<int>(peer), timeout,
                                            std::move(sockets[peer]));
    }
  }
};

}  // namespace

GlooConnections gloo_over(std::vector<Socket> sockets, int rank,
                          std::chrono::milliseconds timeout) {
  try {
    const auto device =
        std::dynamic_pointer_cast<tcp::Device>(tcp::CreateDevice(tcp::attr("127.0.0.1")));
    return {device, std::make_shared<Context>(device, rank, std::move(sockets), timeout)};
  } catch (const std::exception& error) {
    fail("gloo: rank {} cannot take over its connections: {}", rank, error.what());
  }
}

}  // namespace convoy::dist
