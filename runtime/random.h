// SPDX-License-Identifier: MIT
#pragma once
// Random tensors from Philox (kernels/random.h). A Generator hands out one stream per consumer, so
// that what a layer draws does not depend on what others draw.
//
//   Generator generator(42);
//   Tensor w = normal({64, 3, 3, 16}, 0, 0.1, generator.next_key());

#include "kernels/random.h"
#include "runtime/tensor.h"

namespace convoy {

class Generator {
 public:
  explicit Generator(std::uint64_t seed = 42) : seed_(seed) {}
  std::uint64_t seed() const { return seed_; }
  // A key that no earlier call returned.
  PhiloxKey next_key() { return {seed_, next_stream_++}; }

 private:
  std::uint64_t seed_;
  std::uint32_t next_stream_ = 0;
};

// Where several processes have the rows of one batch: how many rows come before this one's, 0 or
// more. dropout() and drop_path() draw for their rows what one process with all of them would; it
// is 0 at first, and all of the process take it.
void set_first_row(std::int64_t row);
std::int64_t first_row();

// f32 or f64, drawn at step 0 of `key`.
Tensor uniform(const Shape& shape, double low, double high, const PhiloxKey& key,
               const TensorOptions& options = {});
Tensor normal(const Shape& shape, double mean, double std, const PhiloxKey& key,
              const TensorOptions& options = {});
// Normal, cut to [low, high] (values, not multiples of std), as PyTorch's trunc_normal_.
Tensor truncated_normal(const Shape& shape, double mean, double std, double low, double high,
                        const PhiloxKey& key, const TensorOptions& options = {});
// The numbers 0 … count - 1, i64, shuffled by (key, step): a shuffle per epoch takes it as step.
Tensor permutation(std::int64_t count, const PhiloxKey& key, std::uint64_t step = 0,
                   const Device& device = {});

}  // namespace convoy
