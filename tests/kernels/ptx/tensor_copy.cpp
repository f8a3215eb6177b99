// SPDX-License-Identifier: MIT
// cp.async.bulk: what the tensor memory accelerator does. A load is done when somebody waits in
// vain, a store when its group is waited for, or when its block has ended.
#include "tests/kernels/ptx/tensor_copy.h"

#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/mbarrier.h"
#include "tests/kernels/ptx/tensor_map.h"

namespace convoy::ptx {
namespace {

constexpr int kIm2col = 1, kMulticast = 2;

Word swizzled(Word offset, int line) {
  return line == 0 ? offset : offset ^ (offset >> 7 & static_cast<Word>(line / 16 - 1)) << 4;
}

// operands from `first` on: the map, its coordinates
TensorCopy copy_of(Warp& w, const Instruction& i, int lane, std::size_t first) {
  TensorCopy c;
  c.map = read_map(w.r(i.operands[first])[lane], i);
  if (c.map.rank != i.number) fail("expects a tensor map of so many dimensions", i);
  for (int d = 0; d < c.map.rank; ++d) {
    c.at[d] = static_cast<std::int32_t>(w.r(i.operands[++first])[lane]);
  }
  return c;
}

struct Load {
  TensorCopy copy;
  Word to = 0, barrier = 0;
  std::uint32_t blocks = 0;
};

void finish(Warp& w, const Load& load, const Instruction& i) {
  std::size_t bytes = 0;
  const std::size_t element = load.copy.map.element;
  const auto put = [&](Word at, const std::uint8_t* from) {
    bytes += element;
    const Word offset = swizzled((load.to & kOffsetMask) + at, load.copy.map.swizzle);
    for_lanes(load.blocks, [&](int rank) {
      std::uint8_t* to = shared_place(w, shared_of(static_cast<Word>(rank), offset), element, i);
      from != nullptr ? std::memcpy(to, from, element) : std::memset(to, 0, element);
    });
  };
  for_elements(load.copy, put, i);
  for_lanes(load.blocks, [&](int rank) {
    bytes_have_arrived(w, shared_of(static_cast<Word>(rank), load.barrier & kOffsetMask), bytes, i);
  });
}

// operands: to, map, coordinates, barrier, im2col's offsets, the mask of a multicast;
// number: dimensions; more: kIm2col, kMulticast
Step load(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    Load load{copy_of(w, i, l, 1)};
    const bool im2col = (i.more & kIm2col) != 0;
    if (load.copy.map.im2col != im2col) fail("expects a tensor map of the other kind", i);
    std::size_t next = 2 + static_cast<std::size_t>(i.number);
    load.to = w.r(i.operands[0])[l], load.barrier = w.r(i.operands[next++])[l];
    if (load.to % 128 != 0) fail("expects its destination at a multiple of 128", i);
    for (int d = 0; im2col && d < load.copy.map.rank - 2; ++d) {
      load.copy.offset[d] = static_cast<std::uint16_t>(w.r(i.operands[next++])[l]);
    }
    load.blocks = 1U << rank_of(load.to);
    if ((i.more & kMulticast) != 0) {
      load.blocks = static_cast<std::uint16_t>(w.r(i.operands[next])[l]);
    }
    w.block->cluster->loads.push_back([&w, load, &i] { finish(w, load, i); });
  });
  return Step::next;
}

Groups<Work>& stores(Warp& w, int lane) {
  auto& groups = w.stores[static_cast<std::size_t>(lane)];
  if (groups.empty()) groups.emplace_back();
  return groups;
}

// operands: map, coordinates, from
Step store(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    const TensorCopy copy = copy_of(w, i, l, 0);
    const Word from = w.r(i.operands.back())[l];
    if (from % 128 != 0) fail("expects its source at a multiple of 128", i);
    stores(w, l).back().push_back([&w, copy, from, &i] {
      const auto put = [&](Word at, std::uint8_t* to) {
        if (to == nullptr) return;
        const Word offset = swizzled((from & kOffsetMask) + at, copy.map.swizzle);
        const std::size_t element = copy.map.element;
        std::memcpy(to, shared_place(w, shared_of(rank_of(from), offset), element, i), element);
      };
      for_elements(copy, put, i);
    });
  });
  return Step::next;
}

Step commit(Warp& w, const Instruction&, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) { stores(w, l).emplace_back(); });
  return Step::next;
}

// Waiting until sources are read (.read) is waiting until all is done.
Step wait(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const std::size_t stay = common(w, i, 0, lanes) + 1;
  for_lanes(lanes, [&](int l) {
    for (auto& groups = stores(w, l); groups.size() > stay; groups.pop_front()) {
      for (const Work& store : groups.front()) store();
    }
  });
  return Step::next;
}

// operands: to, from, bytes, barrier
Step bulk_load(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    const Word to = w.r(i.operands[0])[l], from = w.r(i.operands[1])[l];
    const Word barrier = w.r(i.operands[3])[l], bytes = w.r(i.operands[2])[l] & 0xffffffff;
    if ((to | from | bytes) % 16 != 0) fail("expects multiples of 16", i);
    w.block->cluster->loads.push_back([=, &w, &i] {
      std::memcpy(shared_place(w, to, bytes, i), global_place(from, bytes, i), bytes);
      bytes_have_arrived(w, barrier, bytes, i);
    });
  });
  return Step::next;
}

// cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes
Run tensor_of(const std::vector<std::string_view>& opcode, Instruction& i) {
  i.number = opcode[4][0] - '0';
  bool is_load = false;
  for (std::size_t k = 5; k < opcode.size(); ++k) {
    const std::string_view word = opcode[k];
    if (word == "im2col") i.more |= kIm2col;
    if (word == "multicast::cluster") i.more |= kMulticast;
    if (word == "mbarrier::complete_tx::bytes") is_load = true;
  }
  return is_load ? load : store;
}

}  // namespace

void finish_stores(Warp& w) {
  for (auto& groups : w.stores) {
    for (const auto& group : groups) {
      for (const Work& store : group) store();
    }
    groups.clear();
  }
}

Run decode_tensor_copy(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "cp" || opcode.size() < 4 || opcode[2] != "bulk") return nullptr;
  if (opcode[3] == "commit_group") return commit;
  if (opcode[3] == "wait_group") return wait;
  if (opcode[3] == "tensor") return tensor_of(opcode, i);
  return opcode[3] == "shared::cluster" ? bulk_load : nullptr;
}

}  // namespace convoy::ptx
