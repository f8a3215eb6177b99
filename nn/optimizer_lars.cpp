// SPDX-License-Identifier: MIT
// LARS over shards: norms of whole parameters from what each rank has of them.
#include "nn/optimizer.h"
#include "runtime/run.h"

namespace convoy::nn {

void Optimizer::gather_squares() {
  std::int64_t parameters = 0;
  for (const ParameterGroup& group : store_.groups()) parameters += std::ssize(group.slices);
  RankExchange& ranks = *store_.shards()->exchange;
  const TensorOptions options{DType::f64, store_.groups().front().values.device()};
  const Tensor own = zeros({parameters, 2}, options);
  for (std::size_t g = 0; g < states_.size(); ++g) {
    for (const Piece& piece : states_[g].pieces.list) sum_squares(g, piece, own);
  }
  squares_ = empty({ranks.world_size(), parameters, 2}, options);
  ranks.gather(own, squares_);
}

void Optimizer::sum_squares(std::size_t index, const Piece& piece, const Tensor& sums) {
  const GroupState& own = states_[index];
  const Tensor& gradients = store_.groups()[index].gradients;
  const DType dtype = gradients.dtype();
  const auto* const p =
      static_cast<const std::byte*>(stepped_weights(store_, index, piece.begin, piece.position));
  for (std::int64_t i = 0; i < piece.slices; ++i) {
    const ParameterSlice& slice =
        own.pieces.slices[static_cast<std::size_t>(piece.first_slice + i)];
    double* const to = sums.as<double>() + 2 * (own.first_parameter + piece.first_parameter + i);
    run(SquaredNorm{slice.count, p + slice.begin * static_cast<std::int64_t>(size_of(dtype)), to,
                    dtype, true},
        stream());
    run(SquaredNorm{slice.count, element_at(gradients, piece.begin + slice.begin), to + 1, dtype,
                    true},
        stream());
  }
}

SquaresOfRanks Optimizer::squares_of(std::int64_t parameter) const {
  if (!squares_.defined()) return {};
  const std::int64_t ranks = squares_.size(0);
  return {squares_.as<double>() + 2 * parameter, ranks, squares_.count() / ranks};
}

}  // namespace convoy::nn
