// SPDX-License-Identifier: MIT
#include "kernels/sim/access/operations.h"

#include <algorithm>
#include <deque>

#include "kernels/require.h"
#include "kernels/sim/access/symbols.h"
#include "kernels/sim/scheduler.h"

namespace convoy::sim::access {
namespace {

std::deque<OperationSpan>& spans() {
  static auto& all = *new std::deque<OperationSpan>;
  return all;
}
std::uint32_t next_block = 1;
// The last answer: a span that comes before the current one.
std::uint32_t ordered_first = 0, ordered_count = 0;

on_sim::uint3 coordinates(std::uint32_t number, std::uint32_t x, std::uint32_t y) {
  return {number % x, number / x % y, number / x / y};
}

}  // namespace

const OperationSpan& begin_operation(std::uint32_t blocks, const Launch* launch) {
  OperationSpan span{.first = next_block, .count = blocks, .id = current_operation()};
  if (launch != nullptr) {
    span.kernel = launch->kernel;
    span.grid_x = launch->grid.x;
    span.grid_y = launch->grid.y;
    span.block_x = launch->block.x;
    span.block_y = launch->block.y;
  }
  next_block += blocks;
  if (next_block < span.first) fail("access checker: expects fewer than 2^32 blocks in a process");
  ordered_count = 0;
  spans().push_back(span);
  return spans().back();
}

const OperationSpan& current_span() { return spans().back(); }

const OperationSpan& span_of(std::uint32_t block) {
  auto& all = spans();
  const auto after =
      std::upper_bound(all.begin(), all.end(), block,
                       [](std::uint32_t b, const OperationSpan& span) { return b < span.first; });
  return *(after - 1);
}

bool is_before_current(std::uint32_t block) {
  if (block - ordered_first < ordered_count) return true;
  const OperationSpan& span = span_of(block);
  if (span.id != current_operation() && !ordered_before_current(span.id)) return false;
  ordered_first = span.first;
  ordered_count = span.count;
  return true;
}

std::string describe(const OperationSpan& span) {
  if (span.id != 0) return sim::describe(span.id);
  return span.kernel == nullptr ? "the host" : "kernel " + function_name(span.kernel);
}

std::string describe_thread(std::uint32_t block, std::uint32_t slot) {
  const OperationSpan& span = span_of(block);
  if (span.kernel == nullptr) return describe(span);
  const std::uint32_t rank = slot % kWorkSlot;
  return fmt::format("thread {} of block {}",
                     to_text(coordinates(rank, span.block_x, span.block_y)),
                     to_text(coordinates(block - span.first, span.grid_x, span.grid_y)));
}

}  // namespace convoy::sim::access
