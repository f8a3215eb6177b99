// SPDX-License-Identifier: MIT
#pragma once
// ZeRO stage 1 (Rajbhandari et al., arXiv:1910.02054): each rank keeps optimizer state and masters
// of its parts of the buckets alone. What the optimizer and the parameter store do then is
// nn/shards.h; here is who owns what.
//
//   Reducer reducer(model, store, communicator, {.own_parts_only = true});
//   store.share(make_shards(store, reducer.buckets(), communicator, 1));
//   Optimizer optimizer(store, options);
//   ...
//   reducer.finish();
//   optimizer.step();
//   ParameterGather gather(store, reducer.buckets(), communicator);   // dist/parameter_gather.h
//
// Stage 0 is plain data parallel: everyone steps everything, and only the norms are shared out, so
// that they have the same bits.

#include <memory>
#include <vector>

#include "dist/buckets.h"
#include "dist/communicator.h"
#include "runtime/rank_exchange.h"

namespace convoy::dist {

// The communicator must outlive it.
std::shared_ptr<RankExchange> rank_exchange(Communicator& communicator);

std::shared_ptr<const nn::Shards> make_shards(const nn::ParameterStore& store,
                                              const std::vector<Bucket>& buckets,
                                              Communicator& communicator, int zero_stage);

}  // namespace convoy::dist
