// SPDX-License-Identifier: MIT
// In place of nccl.cpp where nccl.h was not found.
#include "dist/nccl.h"

#include "kernels/require.h"

namespace convoy::dist {

std::string why_no_nccl() { return "this build has no NCCL: nccl.h was not found"; }

std::unique_ptr<Communicator> nccl_communicator(Store&, int, int, const Device&,
                                                std::chrono::milliseconds, const std::string&) {
  fail("nccl: {}", why_no_nccl());
}

}  // namespace convoy::dist
