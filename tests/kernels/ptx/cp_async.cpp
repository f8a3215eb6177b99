// SPDX-License-Identifier: MIT
// cp.async: a lane's copies, done when it waits for their group.
#include <cstring>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"

namespace convoy::ptx {
namespace {

Groups<Copy>& copies(Warp& w, int lane) {
  auto& groups = w.copies[static_cast<std::size_t>(lane)];
  if (groups.empty()) groups.emplace_back();
  return groups;
}

// How much of the source is read: the operand behind the size is a number of bytes, or says that
// the source is to be left alone.
std::size_t bytes_read(Warp& w, const Instruction& i, int lane, std::size_t bytes) {
  if (i.operands.size() < 4) return bytes;
  const Word last = w.r(i.operands[3])[lane];
  if (i.last_is_predicate) return last != 0 ? 0 : bytes;
  const std::size_t read = last & 0xffffffff;
  if (read > bytes) fail("expects no more bytes to be read than written", i);
  return read;
}

// operands: to, from, size, perhaps what is read
Step begin(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    const Word to = w.r(i.operands[0])[l], from = w.r(i.operands[1])[l];
    const std::size_t bytes = w.r(i.operands[2])[l], read = bytes_read(w, i, l, bytes);
    if (bytes != 4 && bytes != 8 && bytes != 16) fail("expects 4, 8 or 16 bytes", i);
    if (from % bytes != 0) fail("expects its source at a multiple of its size", i);
    copies(w, l).back().push_back({place(w, l, Space::shared, to, bytes, i),
                                   read == 0 ? nullptr : global_place(from, read, i),
                                   static_cast<std::uint8_t>(bytes),
                                   static_cast<std::uint8_t>(read)});
  });
  return Step::next;
}

Step commit(Warp& w, const Instruction&, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) { copies(w, l).emplace_back(); });
  return Step::next;
}

void finish(const Copy& copy) {
  std::memset(copy.to, 0, copy.size);
  if (copy.read > 0) std::memcpy(copy.to, copy.from, copy.read);
}

// number: -1, the open group is waited for as well
Step wait(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const std::size_t stay = i.number < 0 ? 0 : common(w, i, 0, lanes) + 1;
  for_lanes(lanes, [&](int l) {
    for (auto& groups = copies(w, l); groups.size() > stay; groups.pop_front()) {
      for (const Copy& copy : groups.front()) finish(copy);
    }
  });
  return Step::next;
}

}  // namespace

Run decode_cp_async(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "cp" || opcode[1] != "async") return nullptr;
  if (opcode[2] == "cg" || opcode[2] == "ca") {
    i.accesses = {{Space::shared, 0, 0, 0, 32, 2}, {Space::global, 1, 0, 0, 32, 2}};
    return begin;
  }
  if (opcode[2] == "commit_group") return commit;
  if (opcode[2] == "wait_group") return wait;
  if (opcode[2] != "wait_all") return nullptr;
  i.number = -1;
  return wait;
}

}  // namespace convoy::ptx
