// SPDX-License-Identifier: MIT
#pragma once
// Launching a kernel on the simulator. What a GPU would reject is rejected here: more threads than
// the kernel's __launch_bounds__ or than 1024, too much shared memory, a cluster that does not
// divide the grid, a resident launch that does not fit. An empty grid is no launch at all.

#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

#include "kernels/base.h"
#include "kernels/launch_log.h"
#include "kernels/multiprocessors.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim {

// Checks the launch and puts it on the stream (streams.h says when it runs there); on a stream
// without a handle it runs at once.
void enqueue(const Stream& stream, Launch launch, std::source_location where);
// Runs every block of the grid; throws the error of the lowest one that failed.
void run_grid(const Launch& launch);
// Blocks of this size that can be alive at once: what a resident launch may have.
unsigned resident_blocks(unsigned threads, std::size_t shared_bytes);

}  // namespace convoy::sim

namespace convoy::on_sim {

struct LaunchConfig {
  dim3 grid;
  dim3 block;
  std::size_t shared_bytes = 0;
  const Stream& stream;
  int cluster = 1;  // blocks per cluster, along x
  // Runs after the stream's previous kernel all the same, but must wait as if it did not.
  bool programmatic = launches_are_programmatic();
  bool resident = false;  // every block is alive at once; never programmatic
  std::source_location where = std::source_location::current();  // of the launch
};

inline int multiprocessor_count(const Device&) {
  return multiprocessors_to_use(sim::kMultiprocessors);
}
inline int compute_capability(const Device&) { return 90; }
inline Device thread_device() { return {DeviceType::sim}; }

template <class... Parameters, class... Arguments>
void launch(const LaunchConfig& config, void (*kernel)(Parameters...), Arguments&&... arguments) {
  std::tuple<void (*)(Parameters...), std::remove_const_t<Parameters>...> call(
      kernel, std::forward<Arguments>(arguments)...);
  auto thread = [call] {
    if constexpr (sim::access::kEnabled) sim::access::parameters(&call, sizeof call);
    std::apply([](auto* run, const auto&... values) { run(values...); }, call);
  };
  sim::enqueue(config.stream,
               {.grid = config.grid,
                .block = config.block,
                .shared_bytes = config.shared_bytes,
                .cluster = static_cast<unsigned>(config.cluster),
                .programmatic = config.programmatic && !config.resident,
                .resident = config.resident,
                .kernel = reinterpret_cast<const void*>(kernel),
                .thread = std::move(thread)},
               config.where);
}

}  // namespace convoy::on_sim
