// SPDX-License-Identifier: MIT
#include "nn/in_quotes.h"

#include <nlohmann/json.hpp>

namespace convoy::nn {

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 120;
  const nlohmann::json json(text.substr(0, kShown));
  const std::string out = json.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  return text.size() > kShown ? out + "..." : out;
}

}  // namespace convoy::nn
