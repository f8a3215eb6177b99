// SPDX-License-Identifier: MIT
#include "kernels/batch_norm.h"

namespace convoy {

void require_statistics(const BatchNormForward& op) {
  const bool others = op.moments.own != nullptr || op.moments.ranks > 1;
  require(!op.training || op.rows != 1 || others,
          "batch_norm: training expects more than one value per channel, found 1; use inference, "
          "or a larger batch");
  require(op.training || (op.running_mean != nullptr && op.running_var != nullptr),
          "batch_norm: inference expects running_mean and running_var, found none");
}

}  // namespace convoy
