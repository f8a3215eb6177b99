// SPDX-License-Identifier: MIT
#pragma once
// Meeting the other ranks, and handing the connections to Gloo.

#include <chrono>
#include <string>

#include "dist/gloo_context.h"
#include "dist/store.h"

namespace convoy::dist {

// Throws Error when a rank does not come in time, PeerError when one cannot be reached. Ranks that
// are to meet name the same prefix. From then on SIGPIPE is blocked in the calling thread, which is
// the one to send, and in Gloo's own.
GlooConnections connect_by_gloo(Store& store, int rank, int world_size,
                                std::chrono::milliseconds timeout, const std::string& prefix,
                                const std::string& address);

}  // namespace convoy::dist
