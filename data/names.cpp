// SPDX-License-Identifier: MIT
#include "data/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace convoy::data {

bool is_utf8(std::string_view text) {
  constexpr std::array<std::uint32_t, 4> kLeast = {0, 0x80, 0x800, 0x10000};
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    // A lead byte states how many follow.
    const int more = lead < 0x80       ? 0
                     : lead >> 5 == 6  ? 1
                     : lead >> 4 == 14 ? 2
                     : lead >> 3 == 30 ? 3
                                       : -1;
    if (more < 0) return false;
    std::uint32_t character = more == 0 ? lead : lead & (0x3fu >> more);
    for (int k = 0; k < more; ++k) {
      if (i == text.size() || (static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return false;
      character = character << 6 | (static_cast<unsigned char>(text[i++]) & 0x3f);
    }
    const bool surrogate = character >= 0xd800 && character < 0xe000;
    if (character < kLeast[static_cast<std::size_t>(more)] || surrogate || character > 0x10ffff) {
      return false;
    }
  }
  return true;
}

std::string in_ascii(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte >= 0x20 && byte < 0x7f ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

std::string fault_of_name(std::string_view name) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (name.empty()) return "is empty";
  if (std::any_of(name.begin(), name.end(), is_control)) return "has a control character";
  if (name.find('\\') != std::string_view::npos) return "has a backslash";
  if (!is_utf8(name)) return "is not UTF-8";
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    const std::string_view part = name.substr(start, end - start);
    if (part.empty()) return start == 0 ? "starts with a slash" : "has an empty part";
    if (part == "." || part == "..") return fmt::format("has a part '{}'", part);
    start = end + 1;
  }
  return "";
}

}  // namespace convoy::data
