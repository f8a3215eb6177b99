// SPDX-License-Identifier: MIT
#pragma once
// What can be told of an image file without decoding it: which format it is, which one its name
// says, and what about it is unusual.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::data {

// "JPEG", "PNG", "BMP" or "PNM" by the first bytes; "" for others.
std::string format_by_content(std::span<const std::uint8_t> file);
// The same by the ending of the name, in either case; "" for no ending and for others.
std::string format_by_name(std::string_view name);

// A word for it and what there is to say: {"cmyk", "four inks, turned into RGB"}.
struct Oddity {
  std::string kind, text;
};
// Of a file that decodes; `name` has its ending.
std::vector<Oddity> oddities(std::span<const std::uint8_t> file, std::string_view name);

// Of a file that does not decode: does it lack its end?
bool is_cut_off(std::span<const std::uint8_t> file);

}  // namespace convoy::data
