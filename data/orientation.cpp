// SPDX-License-Identifier: MIT
#include "data/orientation.h"

#include <algorithm>
#include <utility>

namespace convoy::data {
namespace {

// Is the upright picture's top (left) at the stored picture's far end? Of the stored rows and
// columns, whichever of them the upright rows and columns are.
struct Mirrors {
  bool rows, columns;
};

Mirrors mirrors(int orientation) {
  switch (orientation) {
    case 2:
      return {false, true};
    case 3:
      return {true, true};
    case 4:
      return {true, false};
    case 6:
      return {true, false};
    case 7:
      return {true, true};
    case 8:
      return {false, true};
    default:
      return {false, false};
  }
}

}  // namespace

ImageExtent turned(const ImageExtent& e, int orientation) {
  return lies(orientation) ? ImageExtent{e.width, e.height, e.channels} : e;
}

Framing stored_framing(const Framing& upright, std::int64_t rows, std::int64_t columns,
                       const ImageExtent& stored, int orientation) {
  Framing f = upright;
  if (lies(orientation)) {
    std::swap(f.box.y, f.box.x);
    std::swap(f.box.height, f.box.width);
    std::swap(f.height, f.width);
    std::swap(f.top, f.left);
    std::swap(rows, columns);
  }
  const Mirrors m = mirrors(orientation);
  if (m.rows) {
    f.box.y = stored.height - f.box.y - f.box.height;
    f.top = f.height - f.top - rows;
  }
  if (m.columns) {
    f.box.x = stored.width - f.box.x - f.box.width;
    f.left = f.width - f.left - columns;
  }
  return f;
}

void turn(const std::uint8_t* stored, const ImageExtent& e, int orientation, std::uint8_t* out) {
  const Mirrors m = mirrors(orientation);
  const std::int64_t row = e.width * e.channels;
  const std::uint8_t* first =
      stored + (m.rows ? (e.height - 1) * row : 0) + (m.columns ? row - e.channels : 0);
  std::int64_t down = m.rows ? -row : row, right = m.columns ? -e.channels : e.channels;
  if (lies(orientation)) std::swap(down, right);
  const ImageExtent upright = turned(e, orientation);
  for (std::int64_t y = 0; y < upright.height; ++y) {
    for (std::int64_t x = 0; x < upright.width; ++x, out += e.channels) {
      std::copy_n(first + y * down + x * right, e.channels, out);
    }
  }
}

}  // namespace convoy::data
