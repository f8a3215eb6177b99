// SPDX-License-Identifier: MIT
#include "dist/nccl_library.h"

#include <fmt/format.h>

#include "dist/nccl.h"
#include "kernels/vendor/library.h"

namespace convoy::dist {
namespace {

// The library without one of its functions is as good as missing.
void find_all(Library& library, Nccl& functions) {
#define CONVOY_FIND(name)                                  \
  functions.name = library.find<decltype(&::name)>(#name); \
  if (library.loaded() && functions.name == nullptr) library.leave_out("it lacks " #name);
  CONVOY_NCCL_FUNCTIONS(CONVOY_FIND)
#undef CONVOY_FIND
}

}  // namespace

const Nccl* nccl_library() {
  static Library& library = vendor_library("nccl");
  static const Nccl all = [] {
    Nccl functions;
    find_all(library, functions);
    return functions;
  }();
  return library.loaded() ? &all : nullptr;
}

std::string Nccl::text(ncclResult_t status, ncclComm_t comm) const {
  const char* const last = ncclGetLastError(comm);
  return fmt::format("{}{}{}", ncclGetErrorString(status), last == nullptr || !*last ? "" : ": ",
                     last == nullptr ? "" : last);
}

bool nccl_is_built() { return true; }

std::string why_no_nccl() {
  return nccl_library() != nullptr ? "" : "NCCL was not found: " + vendor_library("nccl").why();
}

}  // namespace convoy::dist
