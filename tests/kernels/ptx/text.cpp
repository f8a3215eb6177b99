// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/text.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace convoy::ptx {
namespace {

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// ".b8" or ".f32"
std::size_t size_of_type(std::string_view type) { return number(type.substr(2)) / 8; }

// The word at the front, which is taken off.
std::string_view next_word(std::string_view& text) {
  text = trim(text);
  const std::string_view word = text.substr(0, text.find_first_of(kSpaces));
  text.remove_prefix(word.size());
  return word;
}

bool is_space_of_memory(std::string_view word) {
  for (const char* known : {".param", ".shared", ".global", ".local", ".const", ".extern",
                            ".visible", ".weak", ".ptr"}) {
    if (word == known) return true;
  }
  return false;
}

}  // namespace

void not_understood(std::string_view text) {
  throw std::runtime_error("ptx: not understood: " + std::string(text.substr(0, 200)));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

std::string without_comments(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "//") == 0) {
      i = std::min(text.find('\n', i), text.size());
      out += '\n';
    } else if (text.compare(i, 2, "/*") == 0) {
      const auto end = text.find("*/", i + 2);
      if (end == std::string::npos) throw std::runtime_error("ptx: a comment without an end");
      i = end + 1;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::size_t matching_brace(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < text.size(); ++i) {
    if (text[i] == '{') ++depth;
    if (text[i] == '}' && --depth == 0) return i;
  }
  throw std::runtime_error("ptx: a brace without its other");
}

Declared declared(std::string_view text) {
  Declared d;
  std::size_t element = 0;
  while (!trim(text).empty()) {
    const std::string_view word = next_word(text);
    if (word == ".align") {
      d.align = number(next_word(text));
    } else if (is_space_of_memory(word)) {
      continue;
    } else if (word[0] == '.') {
      element = size_of_type(word);
      d.align = std::max(d.align, element);
    } else {
      const auto bracket = word.find('[');
      d.name = std::string(word.substr(0, bracket));
      d.size = element * (bracket == std::string_view::npos ? 1 : number(word.substr(bracket + 1)));
      return d;
    }
  }
  throw std::runtime_error("ptx: a declaration without a name");
}

}  // namespace convoy::ptx
