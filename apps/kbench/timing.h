// SPDX-License-Identifier: MIT
#pragma once
// Times of launches: the device's own events on cuda, host clocks on cpu. The simulator has no
// timing model, and gives none.

#include <functional>
#include <optional>
#include <vector>

#include "kernels/base.h"
#include "runtime/device.h"

namespace convoy::kbench {

struct TimingOptions {
  int warmup = 5;          // launches
  int repeats = 20;        // measurements, of each of which the launches are many
  double max_seconds = 2;  // after which fewer repeats (3 at least) must do
};

// Seconds of one launch, one number per repeat. A repeat has as many launches as make it some
// milliseconds long, over sets of operands in turn; on cuda they are replayed as a graph, one
// replay behind the other, so that the host's part of a launch is not measured with it.
struct Times {
  std::vector<double> seconds;
  int launches = 0;  // per repeat
  bool graph = false;
  double median() const;
  double least() const;
};

std::optional<Times> measure(const Device& device, int sets,
                             const std::function<void(int set)>& launch,
                             const TimingOptions& options);

// Seconds of each repeat by the device's events, where `work` enqueues one. The next repeat is
// enqueued while one runs: from an event to the next the device does not wait for the host.
// `enough(i)` says whether to stop before repeat i.
std::vector<double> time_back_to_back(DeviceBackend& backend, const Stream& stream, int repeats,
                                      const std::function<void()>& work,
                                      const std::function<bool(int)>& enough);

// More bytes than the device's caches hold.
std::size_t beyond_cache(const Device& device);

// Bytes per second, read and written, of the device's copy between buffers of `bytes`; 0 on sim.
double copy_bandwidth(const Device& device, std::size_t bytes, const TimingOptions& options);

}  // namespace convoy::kbench
