// SPDX-License-Identifier: MIT
#include "nn/optimizer.h"
#include "runtime/run.h"

namespace convoy::nn {
namespace {

// One value: the sum of squares over what this rank owns, range by range.
Tensor own_squares(const ParameterStore& store) {
  const Device device = store.groups().front().values.device();
  const Tensor squared = zeros({1}, {DType::f64, device});
  for (std::size_t g = 0; g < store.groups().size(); ++g) {
    const Tensor& gradients = store.groups()[g].gradients;
    const Shards::Ranges all{{0, gradients.count()}};
    for (const PlacedRange& range : place(store.shards() ? store.shards()->own(g) : all)) {
      run(SquaredNorm{range.count, element_at(gradients, range.begin), squared.as<double>(),
                      gradients.dtype(), true},
          gradients.stream());
    }
  }
  return squared;
}

}  // namespace

void clip_grad_norm(ParameterStore& store, double max_norm) {
  require(max_norm > 0, "clip_grad_norm: expects a norm above 0, found {}", max_norm);
  store.finish_gradients();
  const Device device = store.groups().front().values.device();
  Tensor squared = own_squares(store);
  if (store.shards() != nullptr) {
    RankExchange& ranks = *store.shards()->exchange;
    const Tensor each = empty({ranks.world_size(), 1}, squared.like());
    ranks.gather(squared, each);
    squared = each;
  }
  run(ClipFactor{squared.as<double>(), max_norm, step_state(device).device_pointer(),
                 squared.count()},
      current_stream(device));
}

}  // namespace convoy::nn
