// SPDX-License-Identifier: MIT
#pragma once
// Where tests find what they need: as the build knew it, unless the environment says otherwise. A
// bundle (scripts/bundle.sh) runs where the build's folders are not.

#include <cstdlib>
#include <string>

namespace convoy::testing {

inline std::string place(const char* variable, const char* built) {
  const char* given = std::getenv(variable);
  return given != nullptr && *given != '\0' ? given : built;
}

}  // namespace convoy::testing
