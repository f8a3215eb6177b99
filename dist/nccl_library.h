// SPDX-License-Identifier: MIT
#pragma once
// NCCL's functions as they are used here, found at run time.
//
//   const Nccl* nccl = nccl_library();      // null: no library, or one that lacks a function

#include <nccl.h>

#include <string>

namespace convoy::dist {

#define CONVOY_NCCL_FUNCTIONS(X) \
  X(ncclAllGather)               \
  X(ncclBroadcast)               \
  X(ncclCommAbort)               \
  X(ncclCommDestroy)             \
  X(ncclCommFinalize)            \
  X(ncclCommGetAsyncError)       \
  X(ncclCommInitRankConfig)      \
  X(ncclGetErrorString)          \
  X(ncclGetLastError)            \
  X(ncclGetUniqueId)             \
  X(ncclReduceScatter)

struct Nccl {
#define CONVOY_DECLARE(name) decltype(&::name) name = nullptr;
  CONVOY_NCCL_FUNCTIONS(CONVOY_DECLARE)
#undef CONVOY_DECLARE

  // The status in words, and the library's last ones where there are any.
  std::string text(ncclResult_t status, ncclComm_t comm) const;
};

const Nccl* nccl_library();

}  // namespace convoy::dist
