// SPDX-License-Identifier: MIT
#pragma once
// Ranks over TCP by Gloo, for host memory: `cpu` and `sim`. A thread of each communicator runs its
// operations in the order in which they were asked for; the sums are ours (dist/sum.h), in the
// order of the ranks. Before each operation the ranks tell each other what they are about to do.

#include <chrono>
#include <memory>
#include <string>

#include "dist/communicator.h"
#include "dist/store.h"

namespace convoy::dist {

// Ranks that are to meet name the same prefix in the same store, each prefix once. Connects with
// all others; throws Error naming the first rank that did not come within `timeout`. Afterwards
// that is how long a rank may stay silent when another waits for it.
//
// Listens on `address` alone, until all have met; by default on that from which this machine
// reaches MASTER_ADDR: loopback where all ranks are on one machine. GLOO_SOCKET_IFNAME names an
// interface instead, for machines whose own name leads to loopback.
std::unique_ptr<Communicator> gloo_communicator(Store& store, int rank, int world_size,
                                                std::chrono::milliseconds timeout,
                                                const std::string& prefix,
                                                const std::string& address = "");

}  // namespace convoy::dist
