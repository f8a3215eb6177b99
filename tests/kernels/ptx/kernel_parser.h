// SPDX-License-Identifier: MIT
#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/kernels/ptx/program.h"
#include "tests/kernels/ptx/text.h"

namespace convoy::ptx {

// Those of a module, outside of its kernels.
struct Variables {
  std::map<std::string, Declared> shared;
  std::map<std::string, std::vector<std::uint8_t>> global;
};

// Reads one kernel's parameters and body.
class KernelParser {
 public:
  KernelParser(Kernel& kernel, const Variables& outside)
      : kernel_(kernel), outside_(outside), scopes_(1) {}

  void parameter(std::string_view declaration);
  void body(std::string_view text);

 private:
  Kernel& kernel_;
  const Variables& outside_;
  std::vector<std::map<std::string, int, std::less<>>> scopes_;  // registers, innermost last
  std::set<int> predicates_;
  std::map<std::string, std::pair<Constant::Kind, std::size_t>> places_;  // variables
  std::map<std::string, int> constants_;
  std::map<std::string, int, std::less<>> labels_;
  std::map<std::size_t, std::string> branches_;  // their labels

  std::size_t label_or_statement(std::string_view text, std::size_t begin);
  void statement(std::string_view text);
  void directive(std::string_view text);
  void resolve_branches();

  void add_registers(std::string_view declaration);
  void add_register(std::string name, bool predicate);
  void add_variable(std::string_view declaration, Constant::Kind kind, std::size_t& bytes);

  void operands(Instruction& instruction, std::string_view text);
  int operand(std::string_view text);
  int number(std::string_view text);
  int named(std::string_view name);
  int place_of_module(const std::string& name);
  int constant(const std::string& key, Constant::Kind kind, std::uint64_t value,
               const std::string& name = {});
};

}  // namespace convoy::ptx
