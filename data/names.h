// SPDX-License-Identifier: MIT
#pragma once
// Names that come from files: which of them are text, and which may name a file below a folder.

#include <string>
#include <string_view>

namespace convoy::data {

// RFC 3629: overlong forms, surrogates and what is beyond U+10FFFF are no characters.
bool is_utf8(std::string_view text);

// Every byte that is no printable ASCII character as \xhh.
std::string in_ascii(std::string_view name);

// What is wrong with `name` as that of a file below a folder ("has a part '..'"), or "" if nothing
// is: it must be UTF-8 without control characters or backslashes, made of parts between single
// slashes, none of them empty, "." or "..".
std::string fault_of_name(std::string_view name);

}  // namespace convoy::data
