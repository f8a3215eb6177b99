// SPDX-License-Identifier: MIT
#pragma once
// Which part of a range each rank owns: parts follow each other in the order of the ranks and are
// of one length, a multiple of `unit`, but that the last ones may be shorter or empty.

#include <algorithm>
#include <cstdint>

#include "kernels/require.h"
#include "runtime/range.h"
#include "runtime/tensor.h"

namespace convoy::dist {

// That range of a flat tensor, in its memory.
inline Tensor view(const Tensor& flat, const Range& range) {
  return make_view(flat, range.begin, {range.count()}, {1});
}

class Partition {
 public:
  Partition(std::int64_t count, int world_size, std::int64_t unit = 1)
      : count_(count), world_size_(world_size) {
    require(
        count >= 0 && world_size >= 1 && unit >= 1,
        "partition: expects a count of 0 or more, 1 rank or more and a unit of 1 or more, found "
        "{}, {} and {}",
        count, world_size, unit);
    const std::int64_t units = (count + unit - 1) / unit;
    part_ = (units + world_size - 1) / world_size * unit;
  }

  Range of(int rank) const {
    return {std::min(part_ * rank, count_), std::min(part_ * (rank + 1), count_)};
  }
  std::int64_t count() const { return count_; }
  std::int64_t part() const { return part_; }  // the longest part's length
  int world_size() const { return world_size_; }

 private:
  std::int64_t count_, part_ = 0;
  int world_size_;
};

}  // namespace convoy::dist
