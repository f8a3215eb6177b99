// SPDX-License-Identifier: MIT
// What happens to the device's memory outside of kernels: copies, fills, blocks that the allocator
// takes back.
#include "kernels/sim/access/detector.h"
#include "kernels/sim/access/operations.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/stream_order.h"

namespace convoy::sim::access {
namespace {

struct DeviceBytes {
  Cell* cells = nullptr;
  std::size_t first = 0, last = 0;  // from the beginning of the first cell
};
DeviceBytes device_bytes(const void* begin, std::size_t bytes) {
  const std::size_t first = reinterpret_cast<std::uintptr_t>(begin) % kCellBytes;
  return {device_shadow().cell(begin), first, first + bytes};
}

std::uint8_t bits_of(std::size_t at) { return static_cast<std::uint8_t>(1u << at % kCellBytes); }

bool has_value(const DeviceBytes& place, std::size_t at) {
  return (place.cells[at / kCellBytes].written & bits_of(at)) != 0;
}

void set_value(const DeviceBytes& place, std::size_t at, bool value) {
  std::uint8_t& written = place.cells[at / kCellBytes].written;
  written = static_cast<std::uint8_t>(value ? written | bits_of(at) : written & ~bits_of(at));
}

class Copies final : public MemoryObserver {
 public:
  Copies() { set_memory_observer(this); }

  // What comes from cudaMalloc has no values anyway.
  void unwritten(const void* begin, std::size_t bytes) override {
    if (current_operation() == 0) return;
    const DeviceBytes place = touch(begin, bytes, Kind::write, true);
    for (std::size_t at = place.first; at < place.last; ++at) {
      set_value(place, at, false);
      Cell& cell = place.cells[at / kCellBytes];
      cell.recycled = true;
      if (cell.split != 0) splits[cell.split][at % kCellBytes].recycled = true;
    }
  }
  // memory.cpp tells.
  void released(const void*, std::size_t) override {}
  void filled(const void* begin, std::size_t bytes) override {
    if (!is_simulated(begin)) return;
    const DeviceBytes place = touch(begin, bytes, Kind::write);
    for (std::size_t at = place.first; at < place.last; ++at) set_value(place, at, true);
  }
  void copied(const void* to, const void* from, std::size_t bytes) override {
    if (is_simulated(from)) touch(from, bytes, Kind::read);
    if (!is_simulated(to)) return;
    const DeviceBytes place = touch(to, bytes, Kind::write);
    // What is not written stays so.
    const bool from_host = !is_simulated(from) || is_host(from);
    const DeviceBytes source = from_host ? DeviceBytes{} : device_bytes(from, bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
      set_value(place, place.first + i, from_host || has_value(source, source.first + i));
    }
  }

 private:
  static bool is_host(const void* begin) {
    const auto found = find(begin);
    return found && found->kind == MemoryKind::pinned;
  }

  static DeviceBytes touch(const void* begin, std::size_t bytes, Kind kind, bool recycles = false) {
    const DeviceBytes place = device_bytes(begin, bytes);
    Actor host;
    host.block = begin_operation(1, nullptr).first;
    host.now = 1;
    check_order(place.cells, place.first, place.last,
                {host, static_cast<const char*>(begin), bytes, kind, 0, false, recycles});
    return place;
  }
};

const Copies copies;

}  // namespace

void memory_freed(const void* begin, std::size_t bytes) {
  const DeviceBytes place = device_bytes(begin, bytes);
  clear(place.cells, (place.last + kCellBytes - 1) / kCellBytes);
}

}  // namespace convoy::sim::access
