// SPDX-License-Identifier: MIT
#pragma once
// How the ten digits are drawn: short straight pieces in the unit square, x to the right and y
// down.

#include <vector>

namespace convoy::data {

struct Point {
  float x = 0, y = 0;
};

struct Segment {
  Point from, to;
};

// `digit` from 0 to 9.
std::vector<Segment> digit_strokes(int digit);

}  // namespace convoy::data
