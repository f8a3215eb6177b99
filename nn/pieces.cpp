// SPDX-License-Identifier: MIT
#include "nn/pieces.h"

#include <algorithm>

namespace convoy::nn {
namespace {

// Appends the parts that slices have in the piece, without a gap between the first and the last,
// and notes which they are.
void find_slices(const ParameterGroup& group, Piece& piece, std::vector<ParameterSlice>& table) {
  const std::int64_t end = piece.begin + piece.count;
  piece.first_slice = static_cast<std::int64_t>(table.size());
  piece.first_parameter = -1;
  for (std::size_t i = 0; i < group.slices.size(); ++i) {
    const NamedSlice& slice = group.slices[i];
    if (slice.offset >= end) break;
    const bool before = slice.offset + slice.count <= piece.begin;
    if (before && piece.first_parameter < 0) continue;
    const std::int64_t from = std::max(slice.offset, piece.begin);
    const std::int64_t to = std::min(slice.offset + slice.count, end);
    if (piece.first_parameter < 0) piece.first_parameter = static_cast<std::int32_t>(i);
    table.push_back({from - piece.begin, to - from});
  }
  piece.slices = static_cast<std::int64_t>(table.size()) - piece.first_slice;
}

}  // namespace

std::vector<PlacedRange> stepped_ranges(const ParameterStore& store, std::size_t index) {
  if (store.is_sharded()) return place(store.shards()->own(index));
  return place({{0, store.groups().at(index).values.count()}});
}

void* stepped_weights(const ParameterStore& store, std::size_t index, std::int64_t begin,
                      std::int64_t position) {
  const ParameterGroup& group = store.groups().at(index);
  return store.has_masters(group) ? element_at(group.masters, position)
                                  : element_at(group.values, begin);
}

Pieces cut_into_pieces(const ParameterStore& store, std::size_t index) {
  const ParameterGroup& group = store.groups().at(index);
  Pieces pieces;
  for (const PlacedRange& range : stepped_ranges(store, index)) {
    Piece piece{range.begin, range.count, range.position, 0, 0, 0};
    find_slices(group, piece, pieces.slices);
    pieces.list.push_back(piece);
  }
  const auto bytes = static_cast<std::int64_t>(pieces.slices.size() * sizeof(ParameterSlice));
  pieces.table = from_host(pieces.slices.data(), {bytes}, {DType::u8, group.values.device()});
  return pieces;
}

}  // namespace convoy::nn
