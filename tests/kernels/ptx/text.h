// SPDX-License-Identifier: MIT
#pragma once
// Pieces of PTX's text.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::ptx {

constexpr const char* kSpaces = " \t\n\r";

std::vector<std::string_view> split(std::string_view text, char separator);
std::string_view trim(std::string_view text);
std::string without_comments(const std::string& text);

// Where the brace at `open` is closed. Throws std::runtime_error where it is not.
std::size_t matching_brace(std::string_view text, std::size_t open);

// What ".align 4 .b8 name[24]" declares.
struct Declared {
  std::string name;
  std::size_t align = 1, size = 0;  // bytes; size 0: "name[]", as long as the launch says
};
Declared declared(std::string_view text);

// Throws std::runtime_error, with the begin of the text.
[[noreturn]] void not_understood(std::string_view text);

constexpr std::size_t rounded_up(std::size_t size, std::size_t to) {
  return (size + to - 1) / to * to;
}

}  // namespace convoy::ptx
