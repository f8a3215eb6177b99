// SPDX-License-Identifier: MIT
#include "kernels/sim/access/shadow.h"

#include <sys/mman.h>

#include "kernels/require.h"
#include "kernels/sim/memory.h"

namespace convoy::sim::access {

Pool<Readers> readers;
Pool<Split> splits;

void clear(Cell& cell) {
  if (cell.many) readers.give(cell.read.block);
  if (cell.split != 0) {
    for (Cell& part : splits[cell.split]) clear(part);
    splits.give(cell.split);
  }
  cell = {};
}

void clear(Cell* first, std::size_t cells) {
  // Untouched cells are only looked at, so that their pages stay unused.
  constexpr Cell kFresh{};
  for (Cell* cell = first; cell < first + cells; ++cell) {
    if (__builtin_memcmp(cell, &kFresh, sizeof(Cell)) != 0) clear(*cell);
  }
}

Split& split(Cell& cell) {
  if (cell.split != 0) return splits[cell.split];
  cell.split = splits.take();
  Split& parts = splits[cell.split];
  for (Cell& part : parts) {
    part.write = cell.write;
    part.read = cell.read;
    part.read_kind = cell.read_kind;
    part.many = cell.many;
    part.recycled = cell.recycled;
    if (cell.many) {
      part.read.block = readers.take();
      readers[part.read.block] = readers[cell.read.block];
    }
  }
  if (cell.many) readers.give(cell.read.block);
  cell.write = cell.read = {};
  cell.many = cell.recycled = false;
  return parts;
}

DeviceShadow::DeviceShadow() {
  const AddressRange range = simulated_addresses();
  begin_ = range.begin;
  size_ = range.bytes;
  void* cells = mmap(nullptr, size_ / kCellBytes * sizeof(Cell), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (cells == MAP_FAILED) {
    fail("access checker: expects address space for {} bytes, found none",
         size_ / kCellBytes * sizeof(Cell));
  }
  cells_ = static_cast<Cell*>(cells);
}

DeviceShadow& device_shadow() {
  static DeviceShadow& instance = *new DeviceShadow;
  return instance;
}

}  // namespace convoy::sim::access
