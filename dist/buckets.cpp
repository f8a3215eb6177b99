// SPDX-License-Identifier: MIT
#include "dist/buckets.h"

#include <unordered_map>

namespace convoy::dist {
namespace {

constexpr std::int64_t kUnit = 64;  // elements: 256 bytes of f32, and of halves 128

// Where the model's parameters() has each parameter.
std::unordered_map<const TensorImpl*, std::size_t> order_in(const nn::Module& model) {
  std::unordered_map<const TensorImpl*, std::size_t> order;
  for (const nn::NamedTensor& p : model.parameters()) {
    order.emplace(p.tensor.impl().get(), order.size());
  }
  return order;
}

std::int64_t elements(double mb, std::int64_t step, DType dtype) {
  const auto count =
      static_cast<std::int64_t>(mb * 1048576) / static_cast<std::int64_t>(size_of(dtype));
  return std::max(step, count / step * step);
}

// From the end of a group's buffer to its beginning. Where ranges meet is a multiple of what all
// ranks' parts are in units, so that only one range may have unequal parts.
std::vector<Bucket> cut(const nn::ParameterStore& store, std::size_t group, int world_size,
                        const BucketOptions& options) {
  const nn::ParameterGroup& of = store.groups()[group];
  const std::int64_t step = kUnit * world_size;
  std::vector<Bucket> buckets;
  std::int64_t end = of.gradients.count();
  std::int64_t cap = elements(options.first_cap_mb, step, of.gradients.dtype());
  while (end > 0) {
    const std::int64_t begin = std::max<std::int64_t>(0, (end - cap + step - 1) / step * step);
    const Range range{begin, end};
    buckets.push_back({group, range, Partition(range.count(), world_size, kUnit)});
    end = range.begin;
    cap = elements(options.cap_mb, step, of.gradients.dtype());
  }
  return buckets;
}

}  // namespace

bool overlap(const Range& range, const nn::NamedSlice& slice) {
  return slice.offset < range.end && slice.offset + slice.count > range.begin;
}

std::vector<Bucket> make_buckets(const nn::Module& model, const nn::ParameterStore& store,
                                 int world_size, const BucketOptions& options) {
  if (options.cap_mb <= 0 || options.first_cap_mb <= 0) {
    fail_usage("--bucket-cap-mb expects a size above 0, found {}",
               std::min(options.cap_mb, options.first_cap_mb));
  }
  const auto order = order_in(model);
  std::vector<std::pair<std::size_t, Bucket>> all;  // by the earliest parameter
  for (std::size_t g = 0; g < store.groups().size(); ++g) {
    for (const Bucket& bucket : cut(store, g, world_size, options)) {
      std::size_t earliest = order.size();
      for (const nn::NamedSlice& slice : store.groups()[g].slices) {
        if (!overlap(bucket.range, slice)) continue;
        earliest = std::min(earliest, order.at(slice.parameter.impl().get()));
      }
      all.emplace_back(earliest, bucket);
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Bucket> buckets;
  for (const auto& [earliest, bucket] : all) buckets.push_back(bucket);
  return buckets;
}

}  // namespace convoy::dist
