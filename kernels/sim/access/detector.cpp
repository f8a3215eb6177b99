// SPDX-License-Identifier: MIT
#include "kernels/sim/access/detector.h"

#include <algorithm>
#include <vector>

#include "kernels/sim/access/own_memory.h"
#include "kernels/sim/access/report.h"
#include "kernels/sim/access/traffic.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/scheduler.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim::access {

constinit thread_local Actor* running = nullptr;

namespace {

// ---- values ----

// Bits of the bytes [at, end) that lie in the cell of `at`.
std::uint8_t bits_in_cell(std::size_t at, std::size_t end) {
  const std::size_t first = at % kCellBytes;
  const std::size_t count = std::min(end - at, kCellBytes - first);
  return static_cast<std::uint8_t>(((1u << count) - 1) << first);
}

// Reads need a value, writes leave one; the first byte without one, or `last`.
std::size_t settle_values(Cell* cells, std::size_t first, std::size_t last, Kind kind) {
  for (std::size_t at = first; at < last; at += kCellBytes - at % kCellBytes) {
    Cell& cell = cells[at / kCellBytes];
    const std::uint8_t bits = bits_in_cell(at, last);
    if (reads(kind)) {
      const auto missing = static_cast<std::uint8_t>(bits & ~cell.written);
      if (missing != 0) {
        return at / kCellBytes * kCellBytes + static_cast<std::size_t>(__builtin_ctz(missing));
      }
    } else {
      cell.written |= bits;
    }
  }
  return last;
}

// ---- shared memory ----

// Blocks that are alive, and the cells of those that were.
std::vector<std::unique_ptr<BlockShadow>> alive, spare;

bool holds(const BlockShadow& block, const char* address) {
  return address + kSharedGuard >= block.begin &&
         address < block.begin + kMaxSharedBytes + kSharedGuard && block.begin != nullptr;
}

BlockShadow* find_other_block(const Access& access) {
  for (const auto& block : alive) {
    if (holds(*block, access.address)) return block.get();
  }
  return nullptr;
}

void check_shared(BlockShadow& block, const Access& access) {
  const auto offset = access.address - block.begin;
  const auto first = static_cast<std::size_t>(offset), last = first + access.bytes;
  if (offset < 0 || last > block.bytes) report_outside(access, block);
  const std::size_t missing = settle_values(block.cells.data(), first, last, access.kind);
  if (missing != last) report_unwritten(access, missing - first);
  check_order(block.cells.data(), first, last, access);
}

// ---- global memory ----

// The device's cells learn of an allocation when it is first touched.
void make_valid(const Access& access, Cell* cells, std::size_t first, std::size_t last) {
  const auto found = find(access.address);
  if (!found || !found->live || !found->holds(access.address, access.bytes)) {
    report_outside(access, found);
  }
  for (std::size_t at = first; at < last; at += kCellBytes - at % kCellBytes) {
    Cell& cell = cells[at / kCellBytes];
    cell.valid |= bits_in_cell(at, last);
    // What the host writes into its page-locked memory is not seen.
    if (found->kind == MemoryKind::pinned) cell.written = 0xf;
  }
}

bool is_valid(const Cell* cells, std::size_t first, std::size_t last) {
  for (std::size_t at = first; at < last; at += kCellBytes - at % kCellBytes) {
    const std::uint8_t bits = bits_in_cell(at, last);
    if ((cells[at / kCellBytes].valid & bits) != bits) return false;
  }
  return true;
}

void check_device(const Access& access) {
  if (access.actor.awaits_previous) report_too_early(access);
  Cell* cells = device_shadow().cell(access.address);
  const std::size_t first = reinterpret_cast<std::uintptr_t>(access.address) % kCellBytes;
  const std::size_t last = first + access.bytes;
  if (!is_valid(cells, first, last)) make_valid(access, cells, first, last);
  const std::size_t missing = settle_values(cells, first, last, access.kind);
  if (missing != last) report_unwritten(access, missing - first);
  check_order(cells, first, last, access);
  if (counts_traffic) count_access(access);
}

}  // namespace

void check(const Access& access) {
  if (device_shadow().contains(access.address)) return check_device(access);
  BlockShadow* home = access.actor.home;
  if (home != nullptr && holds(*home, access.address)) return check_shared(*home, access);
  if (is_on_stack(access.address)) return;
  if (BlockShadow* block = find_other_block(access)) return check_shared(*block, access);
  if (!is_own_memory(access.address)) report_foreign(access);
}

BlockShadow& open_block(Block& block) {
  if (spare.empty()) spare.push_back(std::make_unique<BlockShadow>());
  alive.push_back(std::move(spare.back()));
  spare.pop_back();
  BlockShadow& shadow = *alive.back();
  shadow.block = &block;
  shadow.begin = reinterpret_cast<const char*>(block.shared);
  shadow.bytes = block.shared_bytes;
  const std::size_t cells = (shadow.bytes + kCellBytes - 1) / kCellBytes;
  if (shadow.cells.size() < cells) shadow.cells.resize(cells);
  return shadow;
}

void close_all_blocks() {
  for (auto& shadow : alive) {
    clear(shadow->cells.data(), (shadow->bytes + kCellBytes - 1) / kCellBytes);
    spare.push_back(std::move(shadow));
  }
  alive.clear();
}

}  // namespace convoy::sim::access
