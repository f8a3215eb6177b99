// SPDX-License-Identifier: MIT
// In place of nccl.cpp where nccl.h was not found, or CONVOY_NCCL=OFF.
#include "dist/nccl.h"

#include "kernels/require.h"

namespace convoy::dist {

bool nccl_is_built() { return false; }

std::string why_no_nccl() { return "this build was made without it (CONVOY_NCCL)"; }

std::unique_ptr<Communicator> nccl_communicator(Store&, int, int, const Device&,
                                                std::chrono::milliseconds, const std::string&) {
  fail("nccl: {}", why_no_nccl());
}

}  // namespace convoy::dist
