// SPDX-License-Identifier: MIT
#pragma once
// Sums the gradients of all ranks while backward() goes on: a bucket's reduction starts when its
// last gradient has been written, in the same order on every rank.
//
//   Reducer reducer(model, store, communicator, {});
//   loss_of_first_batch.backward();                             // accumulates; nothing is sent
//   reducer.backward([&] { loss_of_last_batch.backward(); });
//   reducer.finish();                                           // sums are there
//
// A parameter that took no part counts as zeros, as with one rank. With `own_parts_only` a rank
// gets the sums of its own parts of the buckets, and the rest of the gradients is undefined: half
// of what is sent otherwise, and enough for ZeRO stage 1 (dist/zero.h).

#include <functional>
#include <unordered_map>
#include <vector>

#include "dist/buckets.h"
#include "dist/communicator.h"

namespace convoy::dist {

struct ReducerOptions {
  BucketOptions buckets = {};
  bool own_parts_only = false;
};

class Reducer {
 public:
  // All must outlive this. Throws as make_buckets does.
  Reducer(const nn::Module& model, nn::ParameterStore& store, Communicator& communicator,
          const ReducerOptions& options = {});

  const std::vector<Bucket>& buckets() const { return buckets_; }

  // Runs the last backward() of a step, and starts what it completes.
  void backward(const std::function<void()>& run);
  // Starts the rest. What follows on the current stream finds the sums.
  void finish();

 private:
  void complete(const TensorImpl& parameter);
  void start_complete();
  Work start(const Bucket& bucket);

  nn::ParameterStore& store_;
  Communicator& communicator_;
  bool own_parts_only_;
  std::vector<Bucket> buckets_;
  std::unordered_map<const TensorImpl*, std::vector<std::size_t>> buckets_of_;
  std::vector<int> members_;  // parameters of each bucket
  // Of the step under way.
  std::vector<int> missing_;  // whose gradients are not complete
  std::vector<Work> started_;
};

}  // namespace convoy::dist
