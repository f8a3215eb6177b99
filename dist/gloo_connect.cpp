// SPDX-License-Identifier: MIT
#include "dist/gloo_connect.h"

#include <gloo/transport/context.h>
#include <gloo/transport/tcp/device.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <vector>

#include "dist/blame.h"
#include "dist/patience.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;
using Clock = Patience::Clock;

std::string seconds(milliseconds time) { return fmt::format("{} s", in_seconds(time)); }

gloo::transport::tcp::attr listening_on(const std::string& address) {
  gloo::transport::tcp::attr attr;
  const char* const interface = std::getenv("GLOO_SOCKET_IFNAME");
  if (interface != nullptr && *interface != '\0') {
    attr.iface = interface;
  } else {
    attr.hostname = address;
  }
  return attr;
}

// A write to a connection that is gone is an error, and not the program's end.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

// One rank's part in a meeting.
struct Meeting {
  Store& store;
  const int rank, world_size;
  const milliseconds timeout;
  const std::string prefix;

  std::string key(const char* what, int of) const {
    return fmt::format("{}/gloo/{}{}", prefix, what, of);
  }

  // What every rank has published, as soon as all have.
  std::vector<std::string> exchange(const std::string& ours) const {
    store.set(key("", rank), ours);
    Patience patience(timeout);
    std::vector<std::string> all;
    for (int peer = 0; peer < world_size; ++peer) {
      std::optional<std::string> theirs;
      while (!(theirs = store.get(key("", peer)))) {
        require(patience.pause(), "gloo: rank {} has not come within {}", peer, seconds(timeout));
      }
      require(theirs->size() == ours.size(), "gloo: rank {} expects {} ranks, rank {} does not",
              rank, world_size, peer);
      all.push_back(std::move(*theirs));
    }
    return all;
  }

  // One that cannot be reached may only be busy with a third that cannot: it says so in the store.
  [[noreturn]] void throw_unreachable(int peer) const {
    const PeerError suspicion(
        peer, fmt::format("rank {} cannot be reached within {}", peer, seconds(timeout)));
    Farewell ours;
    ours.set(suspicion);
    Farewell theirs;
    const auto look = [&](int of, Clock::time_point deadline) -> const Farewell* {
      do {
        if (const auto said = store.get(key("unreachable/", of));
            said && said->size() == sizeof theirs) {
          std::memcpy(&theirs, said->data(), sizeof theirs);
          return &theirs;
        }
        std::this_thread::sleep_for(milliseconds(10));
      } while (Clock::now() < deadline);
      return nullptr;
    };
    try {
      store.set(key("unreachable/", rank),
                std::string(reinterpret_cast<const char*>(&ours), sizeof ours));
      throw find_culprit(suspicion, rank, world_size, look);
    } catch (const Error&) {  // the store is gone: perhaps with its rank
      throw suspicion;
    }
  }
};

// Each rank publishes one address for each of the others, its pair's, all of one length.
void connect(const Meeting& meeting, gloo::transport::Context& context) {
  const int rank = meeting.rank, world_size = meeting.world_size;
  std::string addresses;
  std::size_t length = 0;
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer == rank) continue;
    const std::vector<char> address = context.createPair(peer)->address().bytes();
    length = address.size();
    addresses.resize(length * peer);  // ours is empty
    addresses.append(address.begin(), address.end());
  }
  addresses.resize(length * world_size);
  const std::vector<std::string> theirs = meeting.exchange(addresses);
  for (int peer = 0; peer < world_size; ++peer) {
    if (peer == rank) continue;
    const char* const address = theirs[peer].data() + length * rank;
    try {
      context.getPair(peer)->connect({address, address + length});
    } catch (const std::exception&) {
      meeting.throw_unreachable(peer);
    }
  }
}

}  // namespace

GlooConnections connect_by_gloo(Store& store, int rank, int world_size, milliseconds timeout,
                                const std::string& prefix, const std::string& address) {
  block_sigpipe();
  GlooConnections connections;
  try {
    connections.device = gloo::transport::tcp::CreateDevice(listening_on(address));
  } catch (const std::exception& error) {
    fail("gloo: rank {} cannot listen on {}: {}", rank, address, error.what());
  }
  connections.context = connections.device->createContext(rank, world_size);
  // Connecting takes five of it.
  connections.context->setTimeout(std::max(timeout / 5, milliseconds(1)));
  connect({store, rank, world_size, timeout, prefix}, *connections.context);
  return connections;
}

}  // namespace convoy::dist
