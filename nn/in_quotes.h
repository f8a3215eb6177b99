// SPDX-License-Identifier: MIT
#pragma once
// Untrusted text in error messages.

#include <string>
#include <string_view>

namespace convoy::nn {

// `text` in quotes, in ASCII: control characters and what is not ASCII escaped as in JSON, bytes
// that are not UTF-8 as \ufffd, cut when long. So a name in a file cannot drive a terminal.
std::string in_quotes(std::string_view text);

}  // namespace convoy::nn
