// SPDX-License-Identifier: MIT
// Branches and ends, and the families of all other instructions.
#include <algorithm>

#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {
namespace {

Step bra(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Group& g = w.group();
  if (lanes == g.lanes) {
    g.at = i.target;
    return Step::jumped;
  }
  g.lanes &= ~lanes;
  ++g.at;
  w.groups.push_back({lanes, i.target});
  return Step::jumped;
}

Step ret(Warp& w, const Instruction&, std::uint32_t lanes) {
  Group& g = w.group();
  w.live &= ~lanes;
  w.block->ended += count_of(lanes);
  g.lanes &= ~lanes;
  ++g.at;
  return Step::ended;
}

Step trap(Warp&, const Instruction& i, std::uint32_t) { fail("the kernel ended itself", i); }
Step reject(Warp&, const Instruction& i, std::uint32_t) { fail("not known to the machine", i); }

// Fences order what here is in order; the others say how fast to go.
bool does_nothing(std::string_view opcode) {
  return opcode == "fence" || opcode == "membar" || opcode == "griddepcontrol" ||
         opcode == "setmaxnreg" || opcode == "prefetch" || opcode == "nanosleep";
}

Run decode_control(const std::vector<std::string_view>& opcode, Instruction&) {
  if (opcode[0] == "bra") return bra;
  if (opcode[0] == "ret" || opcode[0] == "exit") return ret;
  if (opcode[0] == "trap") return trap;
  return does_nothing(opcode[0]) ? nothing : nullptr;
}

}  // namespace

Step nothing(Warp&, const Instruction&, std::uint32_t) { return Step::next; }

bool contains(const std::vector<std::string_view>& opcode, std::string_view word) {
  return std::find(opcode.begin(), opcode.end(), word) != opcode.end();
}

Run decode(const std::vector<std::string_view>& opcode, Instruction& i) {
  for (const auto family :
       {decode_control, decode_address, decode_barrier, decode_bits, decode_compare, decode_convert,
        decode_cp_async, decode_float, decode_integer, decode_lanes, decode_load, decode_matrix,
        decode_mbarrier, decode_tensor_copy, decode_wgmma}) {
    if (const Run found = family(opcode, i); found != nullptr) return found;
  }
  return reject;
}

}  // namespace convoy::ptx
