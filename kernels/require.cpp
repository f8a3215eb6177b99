// SPDX-License-Identifier: MIT
#include "kernels/require.h"

#include <string_view>

namespace convoy {
namespace {

// The path from the repository's root: machine paths say nothing to a reader.
std::string_view short_path(std::string_view path) {
  for (std::string_view folder :
       {"kernels/", "runtime/", "nn/", "data/", "dist/", "apps/", "tests/"}) {
    const auto at = path.rfind(folder);
    if (at != std::string_view::npos) return path.substr(at);
  }
  return path;
}

}  // namespace

Error::Error(std::string text, ErrorKind kind, std::source_location where)
    : std::runtime_error(std::move(text)),
      kind_(kind),
      where_(fmt::format("{}:{}", short_path(where.file_name()), where.line())) {}

void throw_error(std::string text, ErrorKind kind, std::source_location where) {
  const std::string place = fmt::format(" [{}:{}]", short_path(where.file_name()), where.line());
  throw Error(text + place, kind, where);
}

}  // namespace convoy
