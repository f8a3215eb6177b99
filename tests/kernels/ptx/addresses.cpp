// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/addresses.h"

#include <atomic>
#include <map>
#include <mutex>

#include "tests/kernels/ptx/decode.h"

namespace convoy::ptx {
namespace {

struct Range {
  std::uintptr_t begin = 1, end = 0;
  bool holds(std::uintptr_t first, std::uintptr_t last) const {
    return begin <= first && last <= end;
  }
};

std::mutex mutex;
std::map<std::uintptr_t, std::size_t>& memory() {
  static auto& all = *new std::map<std::uintptr_t, std::size_t>;
  return all;
}
thread_local Range found;  // last
std::atomic<int> generation = 0;
thread_local int found_in = -1;

Range range_around(std::uintptr_t place) {
  const std::lock_guard lock(mutex);
  const auto next = memory().upper_bound(place);
  if (next == memory().begin()) return {};
  const auto it = std::prev(next);
  return {it->first, it->first + it->second};
}

}  // namespace

void fail(const std::string& what, const Instruction& at) {
  throw Fault(what + ", at: " + at.text.substr(0, 300));
}

void add_memory(const void* place, std::size_t bytes) {
  const std::lock_guard lock(mutex);
  memory()[reinterpret_cast<std::uintptr_t>(place)] = bytes;
}
void remove_memory(const void* place) {
  const std::lock_guard lock(mutex);
  memory().erase(reinterpret_cast<std::uintptr_t>(place));
  ++generation;
}

std::uint8_t* shared_place(Warp& w, Word address, std::size_t bytes, const Instruction& i) {
  const Word rank = rank_of(address), offset = address & kOffsetMask;
  const auto& blocks = w.block->cluster->blocks;
  if (rank >= blocks.size()) fail("the address is of no block of the cluster", i);
  const Block& block = *blocks[rank];
  if (offset + bytes > block.shared_bytes) {
    fail("shared address " + std::to_string(offset) + " expects less than " +
             std::to_string(block.shared_bytes),
         i);
  }
  return block.shared + offset;
}

std::uint8_t* global_place(Word address, std::size_t bytes, const Instruction& i) {
  if (found_in != generation || !found.holds(address, address + bytes)) {
    found_in = generation;
    found = range_around(address);
    if (!found.holds(address, address + bytes)) fail("outside of the device's memory", i);
  }
  return reinterpret_cast<std::uint8_t*>(address);
}

std::uint8_t* generic_place(Warp& w, int lane, Word address, std::size_t bytes,
                            const Instruction& i) {
  if ((address & kSharedWindow) != 0) return shared_place(w, address, bytes, i);
  if ((address & kLocalWindow) == 0) return global_place(address, bytes, i);
  const std::size_t offset = address & ~kLocalWindow, each = w.local.size() / 32;
  if (offset + bytes > each) fail("outside of the lane's memory", i);
  return w.local.data() + static_cast<std::size_t>(lane) * each + offset;
}

Space space_of(const std::vector<std::string_view>& opcode) {
  for (const auto word : opcode) {
    if (word == "global") return Space::global;
    if (word.starts_with("shared")) return Space::shared;
    if (word == "local") return Space::local;
    if (word == "param") return Space::parameter;
  }
  return Space::generic;
}

std::uint8_t* place(Warp& w, int lane, Space space, Word address, std::size_t bytes,
                    const Instruction& i) {
  if (address % bytes != 0) {
    fail("address " + std::to_string(address) + " expects a multiple of " + std::to_string(bytes),
         i);
  }
  switch (space) {
    case Space::global:
      return global_place(address, bytes, i);
    case Space::shared:
      return shared_place(w, address, bytes, i);
    case Space::local:
      return generic_place(w, lane, address | kLocalWindow, bytes, i);
    case Space::generic:
    case Space::parameter:  // the host's address, of the launch's memory
      return generic_place(w, lane, address, bytes, i);
  }
  return nullptr;
}

namespace {

// number: the window's bit
Step to_generic(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word* a = w.r(i.operands[1]);
  for_lanes(lanes, [&](int l) { d[l] = a[l] | static_cast<Word>(i.number); });
  return Step::next;
}
Step from_generic(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word* a = w.r(i.operands[1]);
  const Word window = static_cast<Word>(i.number);
  for_lanes(lanes, [&](int l) {
    if ((a[l] & (kSharedWindow | kLocalWindow)) != window) fail("an address of another space", i);
    d[l] = a[l] & ~window;
  });
  return Step::next;
}
Step mapa(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Word* d = w.r(i.operands[0]);
  const Word *a = w.r(i.operands[1]), *rank = w.r(i.operands[2]);
  for_lanes(lanes, [&](int l) { d[l] = shared_of(rank[l], a[l] & kOffsetMask); });
  return Step::next;
}

}  // namespace

Run decode_address(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] == "mapa" && opcode[1].starts_with("shared")) return mapa;
  if (opcode[0] != "cvta") return nullptr;
  const Space space = space_of(opcode);
  if (space == Space::shared) i.number = static_cast<std::int64_t>(kSharedWindow);
  if (space == Space::local) i.number = static_cast<std::int64_t>(kLocalWindow);
  return opcode[1] == "to" ? from_generic : to_generic;
}

}  // namespace convoy::ptx
