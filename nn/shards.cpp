// SPDX-License-Identifier: MIT
#include "nn/shards.h"

#include <algorithm>
#include <cstring>

#include "runtime/autograd.h"
#include "runtime/ops/view.h"

namespace convoy::nn {
const Shards::Ranges& Shards::own(std::size_t group) const {
  return parts.at(static_cast<std::size_t>(exchange->rank())).at(group);
}

std::int64_t Shards::count(int rank, std::size_t group) const {
  std::int64_t total = 0;
  for (const Range& range : parts.at(static_cast<std::size_t>(rank)).at(group)) {
    total += range.count();
  }
  return total;
}

void require_partition(const Shards& shards, const std::vector<std::int64_t>& group_counts) {
  require(shards.exchange != nullptr, "shards: expects an exchange between the ranks, found none");
  const auto ranks = static_cast<std::size_t>(shards.exchange->world_size());
  require(shards.parts.size() == ranks, "shards: expects those of {} ranks, found {}", ranks,
          shards.parts.size());
  for (std::size_t g = 0; g < group_counts.size(); ++g) {
    Shards::Ranges all;
    for (std::size_t r = 0; r < ranks; ++r) {
      require(shards.parts[r].size() == group_counts.size(),
              "shards: rank {} expects ranges of {} groups, found {}", r, group_counts.size(),
              shards.parts[r].size());
      const Shards::Ranges& own = shards.parts[r][g];
      const auto in_order = [](const auto& a, const auto& b) { return a.begin < b.begin; };
      require(std::is_sorted(own.begin(), own.end(), in_order),
              "shards: rank {} expects ascending ranges of group {}, found others", r, g);
      all.insert(all.end(), own.begin(), own.end());
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    std::int64_t end = 0;
    for (const Range& range : all) {
      require(range.begin == end && range.end >= range.begin,
              "shards: element {} of group {} expects one owner, found the next range to be "
              "[{}, {})",
              end, g, range.begin, range.end);
      end = range.end;
    }
    require(end == group_counts[g], "shards: group {} expects {} elements, found {}", g,
            group_counts[g], end);
  }
}

void* element_at(const Tensor& flat, std::int64_t element) {
  if (!flat.defined()) return nullptr;
  return static_cast<std::byte*>(flat.data()) +
         element * static_cast<std::int64_t>(size_of(flat.dtype()));
}

std::vector<PlacedRange> place(const Shards::Ranges& ranges) {
  std::vector<PlacedRange> placed;
  std::int64_t position = 0;
  for (const Range& range : ranges) {
    if (range.count() > 0) placed.push_back({range.begin, range.count(), position});
    position += range.count();
  }
  return placed;
}

Tensor take_own(const Shards::Ranges& ranges, const Tensor& flat) {
  const NoGrad inference;
  std::int64_t count = 0;
  for (const Range& range : ranges) count += range.count();
  const Tensor own = empty({count}, flat.like());
  for (const PlacedRange& range : place(ranges)) {
    Tensor to = slice(own, 0, range.position, range.position + range.count);
    to.copy_(slice(flat, 0, range.begin, range.begin + range.count));
  }
  return own;
}

Tensor gather_whole(const Shards& shards, std::size_t group, const Tensor& own,
                    std::int64_t count) {
  const NoGrad inference;
  const int ranks = shards.exchange->world_size();
  std::int64_t longest = 0;
  for (int r = 0; r < ranks; ++r) longest = std::max(longest, shards.count(r, group));
  const Tensor padded = zeros({longest}, own.like());
  slice(padded, 0, 0, own.count()).copy_(own);
  const Tensor each = empty({ranks, longest}, own.like());
  if (longest > 0) shards.exchange->gather(padded, each);
  const Tensor found = each.to({});
  const Tensor whole = empty({count}, {.dtype = own.dtype()});
  for (int r = 0; r < ranks; ++r) {
    for (const PlacedRange& range : place(shards.parts[static_cast<std::size_t>(r)].at(group))) {
      std::memcpy(element_at(whole, range.begin), element_at(found, r * longest + range.position),
                  static_cast<std::size_t>(range.count) * size_of(own.dtype()));
    }
  }
  return whole;
}

}  // namespace convoy::nn
