// SPDX-License-Identifier: MIT
#include "apps/bench_cpu/bench.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>

#include "kernels/random.h"

namespace convoy::bench {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

float* allocate(std::size_t count) {
  const std::size_t bytes = (count * sizeof(float) + kHugePage - 1) / kHugePage * kHugePage;
  void* memory = std::aligned_alloc(kHugePage, bytes);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, bytes, MADV_HUGEPAGE);
  return static_cast<float*>(memory);
}

}  // namespace

Buffer::Buffer(std::size_t count) : size_(count), data_(allocate(count)) {}
void Buffer::Free::operator()(float* p) const { std::free(p); }

void fill_random(float* data, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) data[i] = 2 * philox_uniform({}, 0, i) - 1;
}

std::vector<double> best_in_turn(const std::vector<std::function<void()>>& functions,
                                 double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  };
  std::vector<double> best(functions.size(), 1e9);
  for (const auto& f : functions) f();  // warm up: primitives are built, memory is touched
  const Clock::time_point start = Clock::now();
  for (int round = 0; round < 5 || since(start) < seconds; ++round) {
    for (std::size_t i = 0; i < functions.size(); ++i) {
      functions[i]();  // brings its own memory back into the caches
      for (int repeat = 0; repeat < 2; ++repeat) {
        const Clock::time_point begin = Clock::now();
        functions[i]();
        best[i] = std::min(best[i], since(begin));
      }
    }
  }
  return best;
}

}  // namespace convoy::bench
