// SPDX-License-Identifier: MIT
#include "runtime/random.h"

#include <atomic>

#include "kernels/random_fill.h"
#include "kernels/require.h"
#include "runtime/run.h"

namespace convoy {
namespace {

std::atomic<std::int64_t> first_row_of_all{0};

}  // namespace

void set_first_row(std::int64_t row) {
  require(row >= 0, "set_first_row: expects 0 or more, found {}", row);
  first_row_of_all = row;
}

std::int64_t first_row() { return first_row_of_all.load(std::memory_order_relaxed); }

Tensor uniform(const Shape& shape, double low, double high, const PhiloxKey& key,
               const TensorOptions& options) {
  const Tensor y = empty(shape, options);
  run(UniformFill{y.count(), y.data(), y.dtype(), key, low, high}, y.stream());
  return y;
}

Tensor normal(const Shape& shape, double mean, double std, const PhiloxKey& key,
              const TensorOptions& options) {
  const Tensor y = empty(shape, options);
  run(NormalFill{y.count(), y.data(), y.dtype(), key, mean, std}, y.stream());
  return y;
}

Tensor truncated_normal(const Shape& shape, double mean, double std, double low, double high,
                        const PhiloxKey& key, const TensorOptions& options) {
  const Tensor y = empty(shape, options);
  run(TruncatedNormalFill{y.count(), y.data(), y.dtype(), key, mean, std, low, high}, y.stream());
  return y;
}

Tensor permutation(std::int64_t count, const PhiloxKey& key, std::uint64_t step,
                   const Device& device) {
  const Tensor y = empty({count}, {DType::i64, device});
  run(PermutationFill{count, y.as<std::int64_t>(), key, step}, y.stream());
  return y;
}

}  // namespace convoy
