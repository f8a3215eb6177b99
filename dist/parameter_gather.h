// SPDX-License-Identifier: MIT
#pragma once
// With ZeRO, what follows the optimizer's step: each rank gets the parameters that the others have
// stepped, while it goes on. Whoever asks a parameter for its memory waits for the buckets that
// hold it (Arrival, runtime/tensor.h), and the first layers' travel first: so a layer's forward
// pass goes on beside the exchange for the layers behind it.
//
//   optimizer.step();
//   ParameterGather gather(store, reducer.buckets(), communicator);
//   const Tensor y = model(x);   // each layer waits for its own
//   gather.await_all();          // also for parameters that the pass did not use
//
// Whoever reads a flat buffer of the store waits for all of it. One thread, which runs the model,
// makes and awaits them, one at a time.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "dist/buckets.h"
#include "dist/communicator.h"

namespace convoy::dist {

class ParameterGather final : public Arrival {
 public:
  // Called for each bucket when it is waited for first; is to call wait().
  using Wait = std::function<void(Work& bucket)>;

  // Starts the exchange of ParameterGroup::values, in reverse order of the buckets. Throws Error
  // where another one of this store is under way.
  ParameterGather(const nn::ParameterStore& store, const std::vector<Bucket>& buckets,
                  Communicator& communicator, Wait wait = {});
  // Waits for nothing, so that an error ends a run: what has not come is undefined.
  ~ParameterGather() override;
  ParameterGather(const ParameterGather&) = delete;
  ParameterGather& operator=(const ParameterGather&) = delete;

  void await(const Storage& storage, std::int64_t begin, std::int64_t end) override;
  void await_all();

 private:
  struct Part {
    Tensor values;
    Work work;
  };

  void await_part(std::size_t at);

  Wait wait_;
  std::vector<Part> parts_;  // under way
};

}  // namespace convoy::dist
