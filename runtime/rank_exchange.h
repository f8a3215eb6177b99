// SPDX-License-Identifier: MIT
#pragma once
// How the ranks of a job tell each other small tensors, as floors below dist/ ask for it: norms,
// what is not finite, batch statistics, shards for a checkpoint. dist/ answers with a communicator,
// tests within one process.

#include "runtime/tensor.h"

namespace convoy {

class RankExchange {
 public:
  virtual ~RankExchange() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  // all [world_size, n] = each rank's own [n], in the order of the ranks; on every rank alike.
  // Called by all ranks in the same order, with the same n and dtype. Both are dense and on the
  // device of the job. Reads what the current stream has written, and its later work finds `all`:
  // the host need not wait for it. Of dtypes other than f32, f16, bf16 and i64 the own tensor has a
  // multiple of 8 bytes.
  virtual void gather(const Tensor& own, const Tensor& all) = 0;
};

}  // namespace convoy
