// SPDX-License-Identifier: MIT
#include "kernels/shape.h"

#include <algorithm>

#include "kernels/require.h"

namespace convoy {

void Shape::too_many(std::size_t count) {
  fail("shape: at most {} dimensions are supported, found {}", kMaxRank, count);
}

Shape Shape::filled(int rank, std::int64_t value) {
  Shape s;
  for (int i = 0; i < rank; ++i) s.push_back(value);
  return s;
}

void Shape::push_back(std::int64_t extent) {
  if (rank_ == kMaxRank) too_many(kMaxRank + 1);
  (*this)[rank_++] = extent;
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides = Shape::filled(shape.rank(), 1);
  for (int i = shape.rank() - 2; i >= 0; --i) {
    strides[i] = strides[i + 1] * std::max<std::int64_t>(shape[i + 1], 1);
  }
  return strides;
}

Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  Shape out = Shape::filled(rank, 1);
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t x = i <= a.rank() ? a[a.rank() - i] : 1;
    const std::int64_t y = i <= b.rank() ? b[b.rank() - i] : 1;
    require(x == y || x == 1 || y == 1, "{}: shapes {} and {} do not broadcast", op, a, b);
    out[rank - i] = x == 1 ? y : x;
  }
  return out;
}

int normalize_dim(const char* op, int dim, int rank) {
  require(dim >= -rank && dim < rank, "{}: dimension expects a value in [{}, {}), found {}", op,
          -rank, rank, dim);
  return dim < 0 ? dim + rank : dim;
}

std::string to_text(const Shape& shape) {
  std::string text = "[";
  for (int i = 0; i < shape.rank(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace convoy
