// SPDX-License-Identifier: MIT
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/kernels/ptx/kernel_parser.h"

namespace convoy::ptx {

// A text of PTX: its kernels, each read when it is first asked for, and its variables. Throws
// std::runtime_error, with the text that is not understood.
class Module {
 public:
  explicit Module(const std::string& text);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Null: there is none of the name.
  const Kernel* kernel(const std::string& name);

 private:
  struct Range {
    std::size_t begin, end;
  };
  std::string text_;
  std::map<std::string, Range> ranges_;
  std::map<std::string, std::unique_ptr<Kernel>> kernels_;
  Variables variables_;

  std::size_t declaration(std::size_t begin);
  std::size_t entry(std::size_t begin);
  void variable(std::string_view text);
};

}  // namespace convoy::ptx
