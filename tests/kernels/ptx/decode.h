// SPDX-License-Identifier: MIT
#pragma once
// What runs an opcode, family by family: null where it is of another, or not known.

#include "tests/kernels/ptx/program.h"

namespace convoy::ptx {

Run decode_address(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_barrier(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_bits(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_compare(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_convert(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_cp_async(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_float(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_integer(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_lanes(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_load(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_matrix(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_mbarrier(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_tensor_copy(const std::vector<std::string_view>& opcode, Instruction& instruction);
Run decode_wgmma(const std::vector<std::string_view>& opcode, Instruction& instruction);

// Whether one of the opcode's words is this.
bool contains(const std::vector<std::string_view>& opcode, std::string_view word);

Step nothing(Warp&, const Instruction&, std::uint32_t lanes);

}  // namespace convoy::ptx
