// SPDX-License-Identifier: MIT
#include "dist/gloo_connect.h"

#include <signal.h>

#include <cstdlib>

#include "dist/address.h"
#include "dist/meeting.h"

namespace convoy::dist {
namespace {

std::string address_to_listen_at(const std::string& address) {
  const char* const interface = std::getenv("GLOO_SOCKET_IFNAME");
  const bool is_named = interface != nullptr && *interface != '\0';
  return is_named ? address_of_interface(interface) : address;
}

// A write to a connection that is gone is an error, and not the program's end.
void block_sigpipe() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

GlooConnections connect_by_gloo(Store& store, int rank, int world_size,
                                std::chrono::milliseconds timeout, const std::string& prefix,
                                const std::string& address) {
  block_sigpipe();
  return gloo_over(meet(store, {rank, world_size, timeout, prefix, address_to_listen_at(address)}),
                   rank, timeout);
}

}  // namespace convoy::dist
