// SPDX-License-Identifier: MIT
#pragma once
// PTX, as nvcc writes it, decoded for the machine: a kernel's parameters, registers and
// instructions. Of the language it is what our kernels use; an instruction that is not known is
// kept, and fails when it is reached.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::ptx {

struct Warp;
struct Instruction;

// What the lanes do after an instruction.
enum class Step {
  next,
  jumped,          // their group says where to
  wait_for_lanes,  // of their warp, that are to do it with them
  blocked,         // by others; they try again
  ended
};
using Run = Step (*)(Warp&, const Instruction&, std::uint32_t lanes);

enum class Space { generic, global, shared, local, parameter };

// Memory that an instruction reads or writes, for who counts that.
struct Access {
  Space space;
  std::size_t operand;     // the address
  std::int64_t offset;     // added to it
  std::size_t bytes;       // of each lane that has an address
  int lanes = 32;          // that have one, from the first on
  int bytes_operand = -1;  // has the bytes, if there is one
};

struct Instruction {
  Run run = nullptr;
  int guard = -1;  // the register of a predicate
  bool guard_negated = false;
  int target = -1;                    // of a branch
  std::int64_t offset = 0;            // of an address
  std::int64_t number = 0, more = 0;  // what the opcode says: a size, a mode
  bool last_is_predicate = false;     // the last operand
  std::vector<int> operands;          // registers, vectors one by one; -1 for _
  std::vector<Access> accesses;       // known for those that are counted (counts.h)
  std::string text;                   // for errors
};

struct Parameter {
  std::string name;
  std::size_t offset = 0, size = 0;
};

// A register that keeps its value: an immediate, or what is known at the launch.
struct Constant {
  enum class Kind { value, special, parameter, shared, dynamic_shared, local, global };
  int slot = 0;
  Kind kind = Kind::value;
  std::uint64_t value = 0;  // or an offset
  std::string name = {};    // of a special register
};

struct Kernel {
  std::string name;
  std::vector<Parameter> parameters;
  std::size_t parameter_bytes = 0, local_bytes = 0, shared_bytes = 0;
  int slots = 0;  // registers, constants with them
  std::uint64_t max_threads = 1024;
  std::vector<Constant> constants;
  std::vector<Instruction> code;
};

// What runs an opcode, which is split at its dots; may set number and more. Never null.
Run decode(const std::vector<std::string_view>& opcode, Instruction& instruction);

}  // namespace convoy::ptx
