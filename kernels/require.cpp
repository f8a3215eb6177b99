// SPDX-License-Identifier: MIT
#include "kernels/require.h"

#include <string_view>

namespace convoy {
namespace {

// The path from the repository's root: machine paths say nothing to a reader.
std::string_view short_path(std::string_view path) {
  const std::string_view folders[] = {"kernels/", "runtime/", "nn/",   "data/",
                                      "dist/",    "apps/",    "tests/"};
  // As Ninja names a source, from the folder of the build.
  while (path.starts_with("../")) path.remove_prefix(3);
  for (std::string_view folder : folders) {
    if (path.starts_with(folder)) return path;
  }
  for (std::string_view folder : folders) {
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
