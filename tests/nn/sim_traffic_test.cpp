// SPDX-License-Identifier: MIT
// How many bytes a training step of resnet50 moves with the fused ops and with their composition,
// counted by the access checker (kernels/sim/traffic.h): the preset simcheck alone, and
// ./scripts/simcheck.sh prints the table. The network has an eighth of its channels, on images of
// 64 x 64: what the activations' traffic is made of does not change with either. The weights' share
// would, so figures are what a second image adds.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "kernels/sim/access.h"
#include "kernels/sim/traffic.h"
#include "nn/fusion.h"
#include "nn/models.h"
#include "nn/parameter_store.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"

namespace convoy::nn {
namespace {

constexpr Device kSim{DeviceType::sim};
constexpr std::int64_t kSize = 64;

// Bytes by the kernel's name without template arguments.
using Bytes = std::map<std::string, double>;

Bytes bytes_of(const sim::TrafficLog& log) {
  Bytes bytes;
  for (const sim::Traffic& t : log.by_kernel()) {
    bytes[t.kernel.substr(0, t.kernel.find('<'))] += static_cast<double>(t.moved());
  }
  return bytes;
}

struct Step {
  Bytes forward, backward;
};

Step step(DType dtype, std::int64_t batch, bool fused) {
  set_fusion(fused);
  const auto model = create_model("resnet50", {.num_classes = 10, .base_width = 8});
  initialize(*model, 1);
  const std::optional<DType> half = dtype == DType::f32 ? std::nullopt : std::optional(dtype);
  const ParameterStore store(*model, kSim, {}, half);
  const auto pixels = testing::random_values<float>(batch * kSize * kSize * 3, 1);
  const Tensor x = cast(from_vector(pixels, {batch, kSize, kSize, 3}).to(kSim), dtype);
  Step result;
  Tensor y;
  {
    const sim::TrafficLog log;
    y = model->forward(x);
    result.forward = bytes_of(log);
  }
  const Tensor dy = y.detach();
  {
    const sim::TrafficLog log;
    y.backward(dy);
    result.backward = bytes_of(log);
  }
  set_fusion(true);
  return result;
}

double total(const Bytes& bytes) {
  double sum = 0;
  for (const auto& [kernel, count] : bytes) sum += count;
  return sum;
}

// What the second image adds.
Bytes minus(Bytes two, const Bytes& one) {
  for (const auto& [kernel, count] : one) two[kernel] -= count;
  return two;
}
Step per_image(DType dtype, bool fused) {
  const Step one = step(dtype, 1, fused), two = step(dtype, 2, fused);
  return {minus(two.forward, one.forward), minus(two.backward, one.backward)};
}

void print(const char* pass, Bytes composed, Bytes fused) {
  for (const auto& [kernel, count] : fused) composed[kernel] += 0;
  fmt::print("{:<58}{:>12}{:>12}\n", fmt::format("{}, KiB per image", pass), "--no-fuse", "fused");
  for (const auto& [kernel, count] : composed) {
    if (count + fused[kernel] < 1024) continue;
    fmt::print("  {:<56}{:>12.0f}{:>12.0f}\n", kernel, count / 1024, fused[kernel] / 1024);
  }
  fmt::print("  {:<56}{:>12.0f}{:>12.0f}\n", "together", total(composed) / 1024,
             total(fused) / 1024);
}

void expect_half_of_the_composition(DType dtype) {
  if (!sim::access::kEnabled) GTEST_SKIP() << "needs the preset simcheck: ./scripts/simcheck.sh";
  fmt::print("\nresnet50 in {}\n", dtype);
  const Step composed = per_image(dtype, false), fused = per_image(dtype, true);
  print("forward", composed.forward, fused.forward);
  print("backward", composed.backward, fused.backward);
  const double before = total(composed.forward) + total(composed.backward);
  const double after = total(fused.forward) + total(fused.backward);
  fmt::print("forward and backward: {:.3f} of the composition's bytes\n", after / before);
  EXPECT_LE(after, 0.5 * before);
}

TEST(SimTraffic, FusedResnet50MovesHalfOfItsCompositionF32) {
  expect_half_of_the_composition(DType::f32);
}
TEST(SimTraffic, FusedResnet50MovesHalfOfItsCompositionF16) {
  expect_half_of_the_composition(DType::f16);
}

}  // namespace
}  // namespace convoy::nn
