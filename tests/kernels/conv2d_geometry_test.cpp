// SPDX-License-Identifier: MIT
#include "kernels/conv2d_geometry.h"

#include <gtest/gtest.h>

#include "kernels/require.h"

namespace convoy {
namespace {

TEST(Conv2dGeometry, OutputSizesAreThoseOfTheFormula) {
  const auto stem =
      conv2d_geometry({2, 224, 224, 3}, {64, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}});
  EXPECT_EQ(stem.output_shape(), (Shape{2, 112, 112, 64}));
  const auto odd =
      conv2d_geometry({1, 8, 9, 4}, {6, 3, 2, 2},
                      {.stride = {3, 2}, .padding = {1, 0}, .dilation = {2, 3}, .groups = 2});
  EXPECT_EQ(odd.output_shape(), (Shape{1, 2, 3, 6}));
  EXPECT_EQ(odd.weight_shape(), (Shape{6, 3, 2, 2}));
  EXPECT_EQ(conv2d_geometry({0, 3, 3, 1}, {1, 3, 3, 1}, {}).output_shape(), (Shape{0, 1, 1, 1}));
}

struct Bad {
  const char* text;  // what the error must say
  Shape x, weight;
  Conv2dOptions options;
};

TEST(Conv2dGeometry, EveryErrorNamesTheOpAndBothShapes) {
  const Shape x{2, 8, 8, 4}, w{6, 3, 3, 4};
  const std::vector<Bad> list{
      {"x expects 4 dimensions", {8, 8, 4}, w, {}},
      {"weight expects 4 dimensions", x, {6, 4}, {}},
      {"weight expects 3 input channels a group, x has 4 in 1 groups", x, {6, 3, 3, 3}, {}},
      {"groups 3 must divide the 4 input and 6 output channels", x, w, {.groups = 3}},
      {"weight expects 4 input channels a group", x, w, {.groups = 2}},
      {"groups expects a positive value, found 0", x, w, {.groups = 0}},
      {"stride expects positive values, found 1 x 0", x, w, {.stride = {1, 0}}},
      {"dilation expects positive values, found -1 x 1", x, w, {.dilation = {-1, 1}}},
      {"padding expects no negative values, found 0 x -2", x, w, {.padding = {0, -2}}},
      {"covers 9 x 3, more than the padded input's 8 x 8", x, w, {.dilation = {4, 1}}},
      {"weight expects no empty dimension", x, {0, 3, 3, 4}, {}},
      {"x expects at least one channel", {2, 8, 8, 0}, {6, 3, 3, 0}, {}},
  };
  for (const Bad& bad : list) {
    try {
      conv2d_geometry(bad.x, bad.weight, bad.options);
      ADD_FAILURE() << "no error: " << bad.text;
    } catch (const Error& e) {
      const std::string text = e.what();
      EXPECT_EQ(text.find("conv2d: "), 0u) << text;
      if (bad.weight.count() > 0 || bad.x.count() > 0) {
        EXPECT_NE(text.find(to_text(bad.x)), std::string::npos) << text;
        EXPECT_NE(text.find(to_text(bad.weight)), std::string::npos) << text;
      }
    }
  }
}

}  // namespace
}  // namespace convoy
