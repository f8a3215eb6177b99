// SPDX-License-Identifier: MIT
// Barriers in shared memory, which count threads and bytes.
#include "tests/kernels/ptx/mbarrier.h"

#include <algorithm>
#include <bit>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/decode.h"

namespace convoy::ptx {
namespace {

// The 64 bits of one.
struct MBarrier {
  std::uint16_t missing;         // arrivals, until the phase ends
  std::uint16_t arrivals;        // of a phase
  std::int32_t phase_and_bytes;  // the phase in the lowest bit; bytes may come before they are
                                 // expected
  int phase() const { return phase_and_bytes & 1; }
  bool all_bytes() const { return phase_and_bytes >> 1 == 0; }
  void expect(std::int64_t bytes) { phase_and_bytes += static_cast<std::int32_t>(2 * bytes); }
};
static_assert(sizeof(MBarrier) == 8);

MBarrier& mbarrier(Warp& w, Word address, const Instruction& i) {
  return *reinterpret_cast<MBarrier*>(place(w, 0, Space::shared, address, 8, i));
}
MBarrier& mbarrier(Warp& w, const Instruction& i, std::size_t operand, int lane) {
  return mbarrier(w, w.r(i.operands[operand])[lane] + static_cast<Word>(i.offset), i);
}

void end_phase(MBarrier& b) {
  if (b.missing != 0 || !b.all_bytes()) return;
  b.phase_and_bytes ^= 1, b.missing = b.arrivals;
}

// operands: address, count
Step init(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    const auto count = static_cast<std::uint16_t>(w.r(i.operands[1])[l]);
    mbarrier(w, i, 0, l) = {count, count, 0};
  });
  return Step::next;
}

// operands: state, address, perhaps a count or bytes; number: bytes are expected as well
Step arrive(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    MBarrier& b = mbarrier(w, i, 1, l);
    const Word last = i.operands.size() > 2 ? w.r(i.operands[2])[l] & 0xffffffff : 1;
    const Word arrivals = i.number != 0 ? 1 : last;
    if (b.missing < arrivals) fail("more have arrived than the barrier expects", i);
    if (i.operands[0] >= 0) w.r(i.operands[0])[l] = std::bit_cast<Word>(b);
    if (i.number != 0) b.expect(static_cast<std::int64_t>(last));
    b.missing = static_cast<std::uint16_t>(b.missing - arrivals);
    end_phase(b);
  });
  return Step::next;
}

// operands: address, bytes
Step expect(Warp& w, const Instruction& i, std::uint32_t lanes) {
  for_lanes(lanes, [&](int l) {
    mbarrier(w, i, 0, l).expect(static_cast<std::uint32_t>(w.r(i.operands[1])[l]));
  });
  return Step::next;
}

// operands: predicate, address, parity of the phase that is to have ended
Step try_wait(Warp& w, const Instruction& i, std::uint32_t lanes) {
  bool all = true;
  for_lanes(lanes, [&](int l) {
    const bool ended = mbarrier(w, i, 1, l).phase() != static_cast<int>(w.r(i.operands[2])[l] & 1);
    w.r(i.operands[0])[l] = ended;
    all = all && ended;
  });
  if (all) return Step::next;
  w.gives_way = true;
  // As late as they may: others wait for what they bring.
  auto loads = std::move(w.block->cluster->loads);
  w.block->cluster->loads.clear();
  for (const Work& load : loads) load();
  return Step::next;
}

}  // namespace

void bytes_have_arrived(Warp& w, Word address, std::size_t bytes, const Instruction& i) {
  MBarrier& b = mbarrier(w, address, i);
  b.expect(-static_cast<std::int64_t>(bytes));
  end_phase(b);
}

Run decode_mbarrier(const std::vector<std::string_view>& opcode, Instruction& i) {
  if (opcode[0] != "mbarrier") return nullptr;
  if (opcode[1] == "init") return init;
  if (opcode[1] == "inval") return nothing;
  if (opcode[1] == "expect_tx") return expect;
  if (opcode[1] == "try_wait") return contains(opcode, "parity") ? try_wait : nullptr;
  if (opcode[1] != "arrive" || contains(opcode, "noComplete")) return nullptr;
  i.number = contains(opcode, "expect_tx");
  return arrive;
}

}  // namespace convoy::ptx
