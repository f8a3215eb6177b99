// SPDX-License-Identifier: MIT
// What the lanes of a warp tell each other.
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {
namespace {

// Whether all that the mask names are there.
bool all_there(Warp& w, const Instruction& i, std::size_t operand, std::uint32_t lanes) {
  const auto mask = static_cast<std::uint32_t>(common(w, i, operand, lanes)) & w.live;
  return (lanes & mask) == mask;
}

enum class Direction { up, down, butterfly, index };

struct Source {
  int lane;
  bool valid;
};
// c: the last lane of a segment, and in bits 8 to 12 the lanes' numbers that name a segment
Source source_of(Direction direction, int lane, int b, int c) {
  const int segment = c >> 8 & 31, first = lane & segment;
  const int last = first | (c & 31 & ~segment);
  Source s{lane, true};
  switch (direction) {
    case Direction::up:
      s.lane = lane - b, s.valid = s.lane >= last;
      break;
    case Direction::down:
      s.lane = lane + b, s.valid = s.lane <= last;
      break;
    case Direction::butterfly:
      s.lane = lane ^ b, s.valid = s.lane <= last;
      break;
    case Direction::index:
      s.lane = first | (b & ~segment), s.valid = s.lane <= last;
      break;
  }
  if (!s.valid) s.lane = lane;
  return s;
}

// operands: d, perhaps a predicate, a, b, c, the mask; number: the direction
Step shfl(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const std::size_t n = i.operands.size();
  if (!all_there(w, i, n - 1, lanes)) return Step::wait_for_lanes;
  const Word *a = w.r(i.operands[n - 4]), *b = w.r(i.operands[n - 3]), *c = w.r(i.operands[n - 2]);
  Word values[32];
  bool valid[32];
  for_lanes(lanes, [&](int l) {
    const Source s = source_of(static_cast<Direction>(i.number), l, static_cast<int>(b[l] & 31),
                               static_cast<int>(c[l]));
    if ((lanes >> s.lane & 1) == 0) fail("a lane is read that is not there", i);
    values[l] = a[s.lane] & 0xffffffff, valid[l] = s.valid;
  });
  for_lanes(lanes, [&](int l) {
    if (i.operands[0] >= 0) w.r(i.operands[0])[l] = values[l];
    if (n == 6 && i.operands[1] >= 0) w.r(i.operands[1])[l] = valid[l];
  });
  return Step::next;
}

// operands: d, p, mask
Step ballot(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (!all_there(w, i, 2, lanes)) return Step::wait_for_lanes;
  const auto mask = static_cast<std::uint32_t>(common(w, i, 2, lanes));
  std::uint32_t votes = 0;
  for_lanes(lanes & mask,
            [&](int l) { votes |= static_cast<std::uint32_t>(w.r(i.operands[1])[l] != 0) << l; });
  for_lanes(lanes, [&](int l) { w.r(i.operands[0])[l] = votes; });
  return Step::next;
}

// operands: d, p, mask
Step elect(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (!all_there(w, i, 2, lanes)) return Step::wait_for_lanes;
  const int leader = std::countr_zero(static_cast<std::uint32_t>(common(w, i, 2, lanes)) & w.live);
  for_lanes(lanes, [&](int l) {
    if (i.operands[0] >= 0) w.r(i.operands[0])[l] = static_cast<Word>(leader);
    if (i.operands[1] >= 0) w.r(i.operands[1])[l] = l == leader;
  });
  return Step::next;
}

}  // namespace

Run decode_lanes(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] == "elect") return elect;
  if (opcode[0] == "vote") return opcode[2] == "ballot" ? ballot : nullptr;
  if (opcode[0] != "shfl" || opcode[1] != "sync") return nullptr;
  const std::string_view way = opcode[2];
  i.number = static_cast<int>(way == "up"     ? Direction::up
                              : way == "down" ? Direction::down
                              : way == "bfly" ? Direction::butterfly
                                              : Direction::index);
  return shfl;
}

}  // namespace convoy::ptx
