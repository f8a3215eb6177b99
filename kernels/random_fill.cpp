// SPDX-License-Identifier: MIT
#include "kernels/random_fill.h"

namespace convoy {

void require_valid(const TruncatedNormalFill& op) {
  require(op.std > 0 && op.low < op.high,
          "truncated_normal: std > 0 and low < high expected, "
          "found std {}, low {}, high {}",
          op.std, op.low, op.high);
}

void require_valid(const PermutationFill& op) {
  require(op.count < std::int64_t{1} << 32,
          "permutation: fewer than 2^32 numbers expected, found {}", op.count);
}

}  // namespace convoy
