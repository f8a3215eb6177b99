// SPDX-License-Identifier: MIT
#include "kernels/reduce.h"

namespace convoy {

Shape kept_extents(const Shape& shape, std::uint32_t axes) {
  Shape kept;
  for (int d = 0; d < shape.rank(); ++d) {
    if ((axes >> d & 1u) == 0) kept.push_back(shape[d]);
  }
  return kept;
}

Shape reduced_extents(const Shape& shape, std::uint32_t axes) { return kept_extents(shape, ~axes); }

std::uint32_t broadcast_axes(const Shape& from, const Shape& to) {
  const int added = from.rank() - to.rank();
  std::uint32_t axes = 0;
  for (int d = 0; d < from.rank(); ++d) {
    if (d < added || (to[d - added] == 1 && from[d] != 1)) axes |= 1u << d;
  }
  return axes;
}

void require_choice(const ReduceMax& op) {
  require(op.shape.count() > 0 || kept_extents(op.shape, op.axes).count() == 0,
          "max: at least one element expected, found shape {}", op.shape);
}

}  // namespace convoy
