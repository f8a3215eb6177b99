// SPDX-License-Identifier: MIT
#include "apps/convoy/outlet.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace convoy::apps {

void Outlet::write(std::string_view bytes) {
  kept_ += bytes;
  flush();
}

// The descriptor is shared with rank 0, so it stays as it is; a pipe that is ready takes this many
// bytes without blocking.
void Outlet::flush() {
  pollfd ready = {descriptor_, POLLOUT, 0};
  while (!kept_.empty() && poll(&ready, 1, 0) > 0) {
    const auto written =
        ::write(descriptor_, kept_.data(), std::min<std::size_t>(kept_.size(), PIPE_BUF));
    if (written < 0 && errno == EAGAIN) return;
    if (written < 0 && errno != EINTR) kept_.clear();  // nobody reads: the ranks go on
    if (written > 0) kept_.erase(0, static_cast<std::size_t>(written));
  }
}

}  // namespace convoy::apps
