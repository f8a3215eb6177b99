// SPDX-License-Identifier: MIT
// Blocks of the caching allocator, as a training step takes and gives them back.
#include <cmath>

#include "apps/bench_cpu/bench.h"
#include "kernels/random.h"
#include "runtime/allocator.h"

namespace convoy::bench {
namespace {

constexpr std::size_t kLive = 300;

// 60 sizes between 1 KiB and 4 MiB.
std::size_t bytes_of(std::size_t i) {
  return static_cast<std::size_t>(std::exp2(10 + 12 * philox_uniform({}, 0, i % 60)));
}

// Activations are taken, and given back last to first; each op has scratch of its own.
void step(Allocator& memory, const std::vector<std::size_t>& sizes) {
  std::vector<Block> live;
  live.reserve(kLive);
  const auto scratch = [&](std::size_t i) { memory.release(memory.allocate(sizes[i])); };
  for (std::size_t i = 0; i < kLive; ++i) {
    live.push_back(memory.allocate(sizes[i]));
    scratch(kLive - 1 - i);
  }
  for (; !live.empty(); live.pop_back()) {
    memory.release(live.back());
    scratch(live.size() - 1);
  }
}

}  // namespace

BlockSeconds block_seconds(double seconds) {
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < kLive; ++i) sizes.push_back(bytes_of(7 * i));
  Allocator cut(cpu_backend(), Caching::cut), exact(cpu_backend(), Caching::exact),
      direct(cpu_backend(), Caching::direct);
  const auto best = best_in_turn(
      {[&] { step(cut, sizes); }, [&] { step(exact, sizes); }, [&] { step(direct, sizes); }},
      seconds);
  constexpr double kBlocks = 3.0 * kLive;
  return {best[0] / kBlocks, best[1] / kBlocks, best[2] / kBlocks};
}

}  // namespace convoy::bench
