// SPDX-License-Identifier: MIT
#pragma once
// What the ranks of a job own of a ParameterStore's flat buffers, and how nn asks the others for
// what is not its own. Every element of every group has one owner. A rank takes the norm of its own
// gradients only; with ZeRO stage 1 it also keeps optimizer state and masters of its own elements
// only, and steps those:
//
//   store.share(shards);                 // before an optimizer is made of the store
//   Optimizer optimizer(store, options);
//   ...
//   // gradients: summed over ranks, stage 0 everywhere, stage 1 in the rank's own ranges
//   clip_grad_norm(store, 1.0);
//   optimizer.step();
//   // stage 1: gather ParameterGroup::values, of which this rank has stepped its own ranges
//
// Norms are summed in the same order in both stages, so both have the same bits.

#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/optimizer.h"
#include "runtime/range.h"
#include "runtime/rank_exchange.h"

namespace convoy::nn {

struct Shards {
  using Ranges = std::vector<Range>;  // of a group's flat buffers; ascending

  std::vector<std::vector<Ranges>> parts;  // [rank][group]
  std::shared_ptr<RankExchange> exchange;
  int zero_stage = 1;  // 0: every rank holds and steps everything

  const Ranges& own(std::size_t group) const;
  std::int64_t count(int rank, std::size_t group) const;
  std::int64_t own_count(std::size_t group) const { return count(exchange->rank(), group); }
};

// Throws Error, naming the group and the element, unless each element of the groups, of so many
// elements, is one rank's and no other's.
void require_partition(const Shards& shards, const std::vector<std::int64_t>& group_counts);

// The address of a tensor's element; null where the tensor is undefined.
void* element_at(const Tensor& flat, std::int64_t element);

// A range's elements and where they stand in a buffer that holds owned ranges alone, one after the
// other.
struct PlacedRange {
  std::int64_t begin, count;
  std::int64_t position;
};
std::vector<PlacedRange> place(const Shards::Ranges& ranges);

// dense [own_count], on the device: the owned ranges of flat [count].
Tensor take_own(const Shards::Ranges& ranges, const Tensor& flat);
// flat [count] in host memory from what each rank owns of it. Collective: to be called by all.
Tensor gather_whole(const Shards& shards, std::size_t group, const Tensor& own, std::int64_t count);

}  // namespace convoy::nn
