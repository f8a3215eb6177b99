// SPDX-License-Identifier: MIT
// kbench: its tables of layers, and the names of variants.
#include <gtest/gtest.h>

#include "apps/kbench/harness.h"
#include "apps/kbench/layers.h"
#include "kernels/tuning.h"

namespace convoy::testing {
namespace {

// Of each table the layers, and the multiplications for one image: those of the papers' networks.
TEST(Kbench, TablesOfLayersAreWholeNetworks) {
  const struct {
    const char* shapes;
    int layers;
    double multiplications;
  } expected[] = {{"resnet50", 53, 4.087e9}, {"cifar", 7, 118.14e6}, {"resnet20", 19, 40.55e6}};
  for (const auto& [shapes, layers, multiplications] : expected) {
    int count = 0;
    double sum = 0;
    for (const kbench::ConvLayer& l :
         kbench::conv_layers({.device = {}, .shapes = shapes, .sizes = {{"n", 1}}})) {
      count += l.count;
      sum += static_cast<double>(l.count * l.g.output_shape().count() * l.g.R * l.g.S * l.g.C);
    }
    EXPECT_EQ(count, layers) << shapes;
    EXPECT_NEAR(sum, multiplications, 0.002 * multiplications) << shapes;
  }
}

// Tables of tuning are judged by these names.
TEST(Kbench, EveryVariantIsKnownByName) {
  for (const DeviceType type : {DeviceType::cpu, DeviceType::sim}) {
    const kbench::Request requests[] = {
        {.device = {type}, .dtype = DType::f32, .sizes = {{"n", 1}}},
        {.device = {type}, .dtype = DType::f32, .sizes = {{"c", 16}, {"groups", 16}, {"n", 1}}},
        {.device = {type}, .dtype = DType::f16, .sizes = {{"n", 1}}},
    };
    for (const kbench::Request& request : requests) {
      if (type == DeviceType::cpu && request.dtype != DType::f32) continue;
      for (const auto& problems :
           {kbench::gemm_problems, kbench::conv2d_problems, kbench::batch_norm_problems}) {
        for (const auto& make : problems(request)) {
          kbench::Problem problem = make();
          problem.prepare(problem);
          for (const std::string& variant : problem.variants) {
            EXPECT_TRUE(variant == "plan" || is_variant(problem.key, variant)) << variant;
          }
        }
      }
    }
  }
  EXPECT_FALSE(is_variant("gemm", "winograd"));
}

}  // namespace
}  // namespace convoy::testing
