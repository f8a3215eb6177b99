// SPDX-License-Identifier: MIT
#include "kernels/dropout.h"

namespace convoy {

void require_valid(const Dropout& op) {
  require(op.p >= 0 && op.p <= 1 && op.row >= 1,
          "dropout: p in [0, 1] and rows of 1 or more expected, found p {} and row {}", op.p,
          op.row);
  require(op.first >= 0 && op.first % op.row == 0,
          "dropout: first expects a multiple of the {} elements of a row, 0 or more, found {}",
          op.row, op.first);
}

}  // namespace convoy
