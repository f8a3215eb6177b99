// SPDX-License-Identifier: MIT
#include "data/digit_strokes.h"

#include <cmath>
#include <numbers>

namespace convoy::data {
namespace {

class Pen {
 public:
  Pen& line(Point from, Point to) {
    segments_.push_back({from, to});
    return *this;
  }

  // Part of an ellipse, from angle to angle in degrees: 0 is right, 90 down, 180 left, 270 up.
  Pen& arc(Point centre, Point radii, float begin, float end) {
    constexpr int kPieces = 14;
    const auto at = [&](int i) {
      const float degrees = begin + (end - begin) * static_cast<float>(i) / kPieces;
      const float angle = degrees * std::numbers::pi_v<float> / 180;
      return Point{centre.x + radii.x * std::cos(angle), centre.y + radii.y * std::sin(angle)};
    };
    for (int i = 0; i < kPieces; ++i) segments_.push_back({at(i), at(i + 1)});
    return *this;
  }

  std::vector<Segment> drawn() { return std::move(segments_); }

 private:
  std::vector<Segment> segments_;
};

}  // namespace

std::vector<Segment> digit_strokes(int digit) {
  Pen pen;
  switch (digit) {
    case 0:
      return pen.arc({0.5f, 0.5f}, {0.26f, 0.38f}, 0, 360).drawn();
    case 1:
      return pen.line({0.36f, 0.28f}, {0.54f, 0.12f}).line({0.54f, 0.12f}, {0.54f, 0.88f}).drawn();
    case 2:
      return pen.arc({0.5f, 0.33f}, {0.24f, 0.21f}, 180, 390)
          .line({0.708f, 0.435f}, {0.26f, 0.88f})
          .line({0.26f, 0.88f}, {0.76f, 0.88f})
          .drawn();
    case 3:
      return pen.arc({0.47f, 0.31f}, {0.23f, 0.19f}, 200, 450)
          .arc({0.47f, 0.69f}, {0.26f, 0.19f}, 270, 520)
          .drawn();
    case 4:
      return pen.line({0.62f, 0.12f}, {0.22f, 0.64f})
          .line({0.22f, 0.64f}, {0.8f, 0.64f})
          .line({0.62f, 0.12f}, {0.62f, 0.88f})
          .drawn();
    case 5:
      return pen.line({0.72f, 0.12f}, {0.32f, 0.12f})
          .line({0.32f, 0.12f}, {0.289f, 0.486f})
          .arc({0.48f, 0.64f}, {0.25f, 0.24f}, 220, 500)
          .drawn();
    case 6:
      return pen.arc({0.5f, 0.66f}, {0.24f, 0.22f}, 0, 360)
          .arc({0.72f, 0.66f}, {0.46f, 0.53f}, 180, 255)
          .drawn();
    case 7:
      return pen.line({0.24f, 0.12f}, {0.76f, 0.12f}).line({0.76f, 0.12f}, {0.42f, 0.88f}).drawn();
    case 8:
      return pen.arc({0.5f, 0.31f}, {0.2f, 0.19f}, 0, 360)
          .arc({0.5f, 0.69f}, {0.25f, 0.2f}, 0, 360)
          .drawn();
    default:
      return pen.arc({0.5f, 0.34f}, {0.24f, 0.22f}, 0, 360)
          .arc({0.28f, 0.34f}, {0.46f, 0.54f}, 0, 75)
          .drawn();
  }
}

}  // namespace convoy::data
