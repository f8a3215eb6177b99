// SPDX-License-Identifier: MIT
#pragma once
// The flat gradients of a model cut into ranges that travel one by one. Those of the last layers
// come first, as backward() completes them in that order; the first is small, so that the network
// has something to do soon. Each is cut into one part per rank, whose beginnings are aligned to 256
// bytes, so a rank's part can be stepped by the same kernels as the whole.

#include <cstdint>
#include <vector>

#include "dist/partition.h"
#include "nn/parameter_store.h"

namespace convoy::dist {

struct BucketOptions {
  double cap_mb = 25;  // 2^20 bytes of gradients
  double first_cap_mb = 1;
};

struct Bucket {
  std::size_t group;  // of the store
  Range range;        // in elements of the group's flat buffers
  Partition parts;    // of that range

  Range part(int rank) const {  // in elements of the group's buffers
    const Range own = parts.of(rank);
    return {range.begin + own.begin, range.begin + own.end};
  }
};

// Does a parameter have elements in the range?
bool overlap(const Range& range, const nn::NamedSlice& slice);

// In the order in which they are to be reduced, the same on every rank: the reverse of the model's
// parameters(). Throws Error of kind usage for a size that is not above 0.
std::vector<Bucket> make_buckets(const nn::Module& model, const nn::ParameterStore& store,
                                 int world_size, const BucketOptions& options = {});

}  // namespace convoy::dist
