// SPDX-License-Identifier: MIT
#pragma once
// The ranges of a parameter group that an optimizer works on, one launch to each, with the
// parameters that have a part in them: of one rank the whole group, of a shard its ranges.

#include "nn/parameter_store.h"

namespace convoy::nn {

struct Piece {
  std::int64_t begin, count;         // of the group's flat buffers
  std::int64_t position;             // in the state tensors
  std::int64_t first_slice, slices;  // of Pieces::table
  std::int32_t first_parameter;      // of the group
};

struct Pieces {
  std::vector<Piece> list;
  std::vector<ParameterSlice> slices;  // counted from the piece's begin
  Tensor table;                        // the same, for kernels that tell them apart

  const ParameterSlice* slices_of(const Piece& piece) const {
    return static_cast<const ParameterSlice*>(table.data()) + piece.first_slice;
  }
};

// The ranges of group `index` that this rank steps.
std::vector<PlacedRange> stepped_ranges(const ParameterStore& store, std::size_t index);
// Where the optimizer writes a range's weights: masters, or values where there are none.
void* stepped_weights(const ParameterStore& store, std::size_t index, std::int64_t begin,
                      std::int64_t position);

// Of what this rank steps of group `index`.
Pieces cut_into_pieces(const ParameterStore& store, std::size_t index);

}  // namespace convoy::nn
