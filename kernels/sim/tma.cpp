// SPDX-License-Identifier: MIT
#include "kernels/sim/tma.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "kernels/sim/async_source.h"
#include "kernels/sim/instruction.h"
#include "kernels/sim/mbarrier.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim {
namespace {

constexpr int kPoison = 0xff;
constexpr std::size_t kUnit = 16;  // bytes that swizzling keeps together
constexpr std::uint32_t kMaxRow = 256 * 8;

using Coordinates = std::array<std::int64_t, 4>;

// One box of one tensor; in im2col mode its rows are pixels.
struct Box {
  TensorMap map;
  Coordinates at{}, tap{};  // tap: from the first one, in im2col mode

  std::size_t row_bytes() const { return std::size_t{map.box[0]} * map.element_bytes; }
  std::size_t rows() const { return std::size_t{map.box[1]} * map.box[2] * map.box[3]; }
  std::size_t bytes() const { return row_bytes() * rows(); }

  Coordinates tile_row(std::size_t row) const {
    const std::int64_t i = static_cast<std::int64_t>(row), rows = map.box[1], planes = map.box[2];
    return {at[0], at[1] + i % rows, at[2] + i / rows % planes, at[3] + i / rows / planes};
  }
  // The first tap's place behind so many: W as long as it stays in the pixel box, then H, then N.
  Coordinates pixel(std::size_t row) const {
    Coordinates result = at;
    auto more = static_cast<std::int64_t>(row);
    for (std::size_t d = 1; d < 3; ++d) {
      const std::int64_t first = map.im2col.first[d - 1], last = map.im2col.last[d - 1];
      const std::int64_t step = map.im2col.step[d - 1], left = (last - at[d]) / step;
      const std::int64_t line = (last - first) / step + 1;
      if (more <= left) {
        result[d] += more * step;
        return result;
      }
      more -= left + 1;
      result[d] = first + more % line * step;
      more = more / line + 1;
    }
    result[3] += more;
    return result;
  }

  // The part of a row that lies inside of the tensor: [begin, end) in bytes of the row, and where
  // in global memory it begins.
  struct Inside {
    std::size_t begin = 0, end = 0;
    std::byte* data = nullptr;
  };
  Inside inside(std::size_t row) const {
    const Coordinates of_row = map.is_im2col ? pixel(row) : tile_row(row);
    std::byte* data = map.data;
    for (std::size_t d = 1; d < 4; ++d) {
      const std::int64_t i = of_row[d] + tap[d];
      if (i < 0 || i >= map.extent[d]) return {};
      data += i * map.stride_bytes[d];
    }
    const std::int64_t begin = std::max<std::int64_t>(at[0], 0);
    const std::int64_t end = std::min(at[0] + map.box[0], map.extent[0]);
    if (begin >= end) return {};
    return {static_cast<std::size_t>(begin - at[0]) * map.element_bytes,
            static_cast<std::size_t>(end - at[0]) * map.element_bytes,
            data + begin * map.element_bytes};
  }
  // Where a unit of the box lies, as an offset in shared memory; `offset` is the box's.
  std::size_t place(std::size_t offset, std::size_t row, std::size_t in_row) const {
    const std::size_t plain = offset + row * row_bytes() + in_row;
    return map.swizzled ? plain ^ ((plain >> 7 & 7) << 4) : plain;
  }
};

Box make_box(const TensorMap& map, std::span<const int> at, const char* what, const Site& site) {
  expect(at.size() == map.rank, "TMA: expects as many coordinates as the tensor map has dimensions",
         static_cast<std::int64_t>(at.size()), site);
  Box box{.map = map};
  std::copy(at.begin(), at.end(), box.at.begin());
  if (box.row_bytes() > kMaxRow) fault(fmt::format("{}: the box is too wide", what), site);
  return box;
}

Box make_tile(const TensorMap& map, std::span<const int> at, const char* what, const Site& site) {
  if (map.is_im2col) fault(fmt::format("{}: expects a tiled map, found im2col", what), site);
  return make_box(map, at, what, site);
}

Box make_column(const TensorMap& map, std::span<const int> at, std::span<const unsigned> offset,
                const Site& site) {
  if (!map.is_im2col) fault("TMA im2col load: expects an im2col map, found a tiled one", site);
  Box box = make_box(map, at, "TMA im2col load", site);
  for (std::size_t d = 0; d < 2; ++d) {
    const std::int64_t place = at[d + 1];
    if (place < map.im2col.first[d] || place > map.im2col.last[d]) {
      fault(fmt::format("TMA im2col load: expects {} within the pixel box, {} to {}, found {}",
                        d == 0 ? "W" : "H", map.im2col.first[d], map.im2col.last[d], place),
            site);
    }
    expect(offset[d] <= 255, "TMA im2col load: expects offsets up to 255", offset[d], site);
    box.tap[d + 1] = offset[d];
  }
  return box;
}

// The checked offset of a box in the caller's shared memory.
std::size_t own_offset(const void* place, std::size_t bytes, std::size_t alignment,
                       const char* what, const Site& site) {
  const Block& block = *current_thread()->block;
  const auto* at = static_cast<const std::byte*>(place);
  if (at < block.shared || at + bytes > block.shared + block.shared_bytes ||
      static_cast<std::size_t>(at - block.shared) % alignment != 0) {
    fault(
        fmt::format("{}: expects {} bytes of the block's shared memory at a multiple of {}, found "
                    "offset {} of {}",
                    what, bytes, alignment, at - block.shared, block.shared_bytes),
        site);
  }
  return static_cast<std::size_t>(at - block.shared);
}

std::size_t alignment_of(const TensorMap& map) { return map.swizzled ? 1024 : 128; }

// Both views of a block's shared memory, for work that writes it.
struct Target {
  Block* block;
  std::size_t offset, bytes;
  std::byte* barrier;

  void poison() const {
    std::memset(block->shared + offset, kPoison, bytes);
    std::memset(async_view(*block) + offset, kPoison, bytes);
  }
  void put(std::size_t to, const std::byte* from, std::size_t count) const {
    std::memcpy(block->shared + to, from, count);
    std::memcpy(async_view(*block) + to, from, count);
  }
  void tell([[maybe_unused]] Ticket work, [[maybe_unused]] const Site& site) const {
    if constexpr (access::kEnabled) access::work_writes(work, block->shared + offset, bytes, site);
  }
  void finish(const AsyncWork& work) const {
    if (block->alive == 0) {
      fault(*work.issuer,
            fmt::format("{}: writes the shared memory of block {}, which has exited", work.what,
                        to_text(block->index)),
            work.site);
    }
    mbarrier_complete(barrier, static_cast<std::uint32_t>(bytes), work);
  }
};

void fill(const Box& box, const Target& target, const AsyncWork& work) {
  for (std::size_t row = 0; row < box.rows(); ++row) {
    std::byte buffer[kMaxRow] = {};
    const Box::Inside inside = box.inside(row);
    if (inside.data != nullptr) {
      if constexpr (access::kEnabled) {
        access::work_reads(work.ticket, inside.data, inside.end - inside.begin, work.site);
      }
      std::memcpy(buffer + inside.begin, inside.data, inside.end - inside.begin);
    }
    for (std::size_t i = 0; i < box.row_bytes(); i += kUnit) {
      target.put(box.place(target.offset, row, i), buffer + i, kUnit);
    }
  }
  target.finish(work);
}

AsyncWork work_of(const char* what, const Site& site) {
  return {.what = what, .site = site, .issuer = current_thread(), .async_proxy = true};
}

// The units of a box that hold something of the tensor, by row.
template <class F>
void for_each_unit(const Box& box, F f) {
  for (std::size_t row = 0; row < box.rows(); ++row) {
    const Box::Inside inside = box.inside(row);
    for (std::size_t i = inside.begin / kUnit * kUnit; i < inside.end; i += kUnit) {
      const std::size_t begin = std::max(inside.begin, i), end = std::min(inside.end, i + kUnit);
      f(row, i, inside.data + (begin - inside.begin), begin - i, end - begin);
    }
  }
}

void deliver(const Box& box, const AsyncSource& source, const AsyncWork& work) {
  std::size_t next = 0;
  for_each_unit(box,
                [&](std::size_t, std::size_t, std::byte* to, std::size_t skip, std::size_t bytes) {
                  if constexpr (access::kEnabled)
                    access::work_writes(work.ticket, to, bytes, work.site);
                  std::memcpy(to, source.unit(next++) + skip, bytes);
                });
}

void load(const Box& box, void* to, void* barrier, std::uint32_t mask, const Site& site) {
  const std::size_t offset = own_offset(to, box.bytes(), alignment_of(box.map), "TMA load", site);
  Gang& gang = current_gang();
  const Block& self = *current_thread()->block;
  expect(mask != 0 && mask >> gang.launch().cluster == 0,
         "TMA load: expects a mask of blocks of the cluster", mask, site);
  const std::ptrdiff_t barrier_offset =
      mbarrier_place(self, barrier, "TMA load", site) - self.shared;
  for (unsigned rank = 0; rank < gang.launch().cluster; ++rank) {
    if ((mask >> rank & 1u) == 0) continue;
    Block& block = gang.blocks()[self.first_of_cluster + rank];
    const Target target{&block, offset, box.bytes(), block.shared + barrier_offset};
    target.poison();
    AsyncWork work = work_of("TMA load", site);
    work.in_group = false;
    target.tell(gang.async().submit(work, [=](const AsyncWork& load) { fill(box, target, load); }),
                site);
  }
}

}  // namespace

void tma_load(const TensorMap& map, std::span<const int> at, void* to, void* barrier,
              std::uint32_t mask, const Site& site) {
  load(make_tile(map, at, "TMA load", site), to, barrier, mask, site);
}

void tma_load_im2col(const TensorMap& map, std::span<const int> at,
                     std::span<const unsigned> offset, void* to, void* barrier, std::uint32_t mask,
                     const Site& site) {
  load(make_column(map, at, offset, site), to, barrier, mask, site);
}

void bulk_load(void* to, const void* from, std::uint32_t bytes, void* barrier, const Site& site) {
  expect(bytes % kUnit == 0 && reinterpret_cast<std::uintptr_t>(from) % kUnit == 0,
         "bulk copy: expects a size and an address that are multiples of 16, size", bytes, site);
  Block& block = *current_thread()->block;
  const Target target{&block, own_offset(to, bytes, kUnit, "bulk copy", site), bytes,
                      mbarrier_place(block, barrier, "bulk copy", site)};
  target.poison();
  AsyncWork work = work_of("bulk copy", site);
  work.in_group = false;
  const auto complete = [=](const AsyncWork& copy) {
    if constexpr (access::kEnabled) access::work_reads(copy.ticket, from, bytes, copy.site);
    target.put(target.offset, static_cast<const std::byte*>(from), bytes);
    target.finish(copy);
  };
  target.tell(current_gang().async().submit(work, complete), site);
}

void tma_store(const TensorMap& map, std::span<const int> at, const void* from, const Site& site) {
  const Box box = make_tile(map, at, "TMA store", site);
  const std::size_t offset = own_offset(from, box.bytes(), alignment_of(map), "TMA store", site);
  Thread& self = *current_thread();
  const auto source = std::make_shared<AsyncSource>(*self.block);
  for_each_unit(box,
                [&](std::size_t row, std::size_t i, std::byte* to, std::size_t, std::size_t bytes) {
                  source->take(box.place(offset, row, i), "TMA store", site);
                  std::memset(to, kPoison, bytes);
                });
  // Two works, in order: the reads may be over long before the writes.
  AsyncEngine& async = current_gang().async();
  AsyncWork work = work_of("TMA store", site);
  work.queue = async.new_queue();
  self.bulk_reads.add(
      async.submit(work, [=](const AsyncWork& read) { source->check_unchanged(read); }), site);
  self.bulk_copies.add(
      async.submit(work, [=](const AsyncWork& write) { deliver(box, *source, write); }), site);
}

void bulk_commit() {
  current_thread()->bulk_reads.commit();
  current_thread()->bulk_copies.commit();
}

void bulk_wait_read(std::uint32_t keep, const Site& site) {
  wait_for_groups(&Thread::bulk_reads, keep, site);
}

void bulk_wait(std::uint32_t keep, const Site& site) {
  wait_for_groups(&Thread::bulk_reads, keep, site);
  wait_for_groups(&Thread::bulk_copies, keep, site);
}

}  // namespace convoy::sim
