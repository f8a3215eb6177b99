// SPDX-License-Identifier: MIT
#pragma once
// The batch norms of a model that many ranks train: either they take the statistics of all ranks'
// rows together, as one rank with the whole batch would, or each rank those of its own rows; then
// the running estimates drift apart, and are brought together before an evaluation or a checkpoint.

#include <memory>

#include "nn/module.h"
#include "runtime/rank_exchange.h"

namespace convoy::nn {

// All BatchNorm2d of the model. Training is collective from now on, forward and backward, and has
// no fused convolutions. Ranks' gradients must be those of one loss (runtime/ops/batch_norm.h).
void synchronise_batch_norm(Module& model, const std::shared_ptr<RankExchange>& ranks);

enum class RunningStatistics : std::uint8_t {
  mean,     // over the ranks, in their order: the same bits on all
  of_first  // those of rank 0
};
// Of one rank's numbers and the others': what all have in the end. Collective.
Tensor agreed_statistics(const Tensor& own, RankExchange& ranks, RunningStatistics which);

// Lets all ranks have the same running mean and variance. Those of synchronised norms are the same
// already, and stay as they are. Collective.
void share_running_statistics(Module& model, RankExchange& ranks, RunningStatistics which);

}  // namespace convoy::nn
