// SPDX-License-Identifier: MIT
#pragma once
// A short list of extents or strides, held in place: no allocation, free to copy and to capture.
//
//   Shape s{8, 32, 32, 3};   s.rank() == 4, s.count() == 24576, to_text(s) == "[8, 32, 32, 3]"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace convoy {

inline constexpr int kMaxRank = 6;

class Shape {
 public:
  constexpr Shape() = default;
  // Throws Error if there are more than kMaxRank extents.
  constexpr Shape(std::initializer_list<std::int64_t> extents) {
    if (extents.size() > kMaxRank) too_many(extents.size());
    for (std::int64_t e : extents) extent_[static_cast<std::size_t>(rank_++)] = e;
  }
  // `rank` extents, all equal to `value`.
  static Shape filled(int rank, std::int64_t value);

  constexpr int rank() const { return rank_; }
  constexpr std::int64_t operator[](int i) const { return extent_[static_cast<std::size_t>(i)]; }
  constexpr std::int64_t& operator[](int i) { return extent_[static_cast<std::size_t>(i)]; }
  constexpr std::int64_t back() const { return (*this)[rank_ - 1]; }
  void push_back(std::int64_t extent);

  const std::int64_t* begin() const { return extent_.data(); }
  const std::int64_t* end() const { return extent_.data() + rank_; }

  // Product of the extents; 1 for rank 0.
  constexpr std::int64_t count() const {
    std::int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= (*this)[i];
    return n;
  }
  friend constexpr bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }

 private:
  [[noreturn]] static void too_many(std::size_t count);

  std::array<std::int64_t, kMaxRank> extent_{};
  int rank_ = 0;
};

using Strides = Shape;  // in elements, one per dimension; 0 repeats (broadcasting)

// Row-major strides of a dense tensor of this shape.
Strides contiguous_strides(const Shape& shape);
// NumPy's rules: align at the last dimension, an extent of 1 stretches. Throws Error naming `op`.
Shape broadcast_shapes(const char* op, const Shape& a, const Shape& b);
// Counts a negative dimension from the end. Throws Error naming `op` when it is out of range.
int normalize_dim(const char* op, int dim, int rank);
// "[8, 32, 32, 3]"; also how error texts print it.
std::string to_text(const Shape& shape);

}  // namespace convoy
