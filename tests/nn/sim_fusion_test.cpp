// SPDX-License-Identifier: MIT
// Whole networks with the fused ops and with their composition, on the simulator: loss, logits,
// running statistics and every gradient of both against the composition on cpu in f64. Fused they
// may not be further from it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "nn/fusion.h"
#include "nn/models.h"
#include "nn/parameter_store.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/compare.h"

namespace convoy::nn {
namespace {

constexpr Device kSim{DeviceType::sim};

struct Network {
  const char* model;
  int base_width;
  std::int64_t images, size;
  int convolutions;
};

struct Fusion {
  explicit Fusion(bool on) { set_fusion(on); }
  ~Fusion() { set_fusion(true); }
  Fusion(const Fusion&) = delete;
  Fusion& operator=(const Fusion&) = delete;
};

using Arrays = std::map<std::string, std::vector<double>>;

std::vector<double> numbers(const Tensor& t) {
  return to_vector<double>(cast(t.detach().to(Device{}), DType::f64));
}

// Norms' scales and biases are 1, 0 or, at a branch's end, 0 and 0: here they are all different.
void scatter_norms(Module& model) {
  const NoGrad inference;
  std::uint32_t seed = 1;
  for (const NamedTensor& p : model.parameters()) {
    if (p.tensor.rank() != 1) continue;
    const bool is_bias = p.name.ends_with("bias");
    auto values = testing::random_values<float>(p.tensor.count(), seed++);
    for (float& v : values) v = is_bias ? v / 4 : 1 + v / 2;
    Tensor(p.tensor).copy_(from_vector(values, p.tensor.shape()));
  }
}

// The weights as `dtype` holds them, in f64.
void widen(Module& model, DType dtype) {
  const NoGrad inference;
  for (const NamedTensor& p : model.parameters()) {
    Tensor wide = cast(cast(p.tensor.detach(), dtype), DType::f64);
    wide.set_requires_grad(true);
    *p.tensor.impl() = *wide.impl();
  }
  for (const NamedTensor& b : model.buffers())
    *b.tensor.impl() = *cast(b.tensor, DType::f64).impl();
}

// Everything that a training step gives. exact: on cpu in f64, else on sim in `dtype`.
Arrays step(const Network& n, DType dtype, bool exact, bool fused) {
  const Fusion choice(fused);
  const auto model = create_model(n.model, {.num_classes = 10, .base_width = n.base_width});
  initialize(*model, 1);
  scatter_norms(*model);
  if (exact) widen(*model, dtype);
  const std::optional<DType> half =
      exact || dtype == DType::f32 ? std::nullopt : std::optional(dtype);
  const Device device = exact ? Device{} : kSim;
  ParameterStore store(*model, device, {}, half);
  const auto pixels = testing::random_values<float>(n.images * n.size * n.size * 3, 1);
  const Tensor x = cast(from_vector(pixels, {n.images, n.size, n.size, 3}), dtype);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < n.images; ++i) labels.push_back(3 * i % 10);
  const Tensor target = from_vector(labels, {n.images}).to(device);
  const Tensor y = model->forward(exact ? cast(x, DType::f64) : x.to(device));
  const Tensor loss = cross_entropy(y, target, {});
  loss.backward(full({}, 1024, loss.like()));  // f16 has no small numbers
  store.finish_gradients();
  Arrays arrays{{"logits", numbers(y)}, {"loss", numbers(loss)}};
  for (const ParameterGroup& group : store.groups()) {
    for (const NamedSlice& slice : group.slices) {
      arrays[slice.name] = numbers(ParameterStore::view(group.gradients, slice));
    }
  }
  for (const NamedTensor& b : model->buffers()) arrays[b.name] = numbers(b.tensor);
  return arrays;
}

// The length of the difference, over that of what it should be.
double error(const std::vector<double>& found, const std::vector<double>& exact) {
  double difference = 0, all = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    difference += (found[i] - exact[i]) * (found[i] - exact[i]);
    all += exact[i] * exact[i];
  }
  return std::sqrt(difference / all);
}

// Means and variances of the first pass are closer than what comes back through every layer.
std::string kind_of(const std::string& name) {
  for (const char* kind : {"running_mean", "running_var", "logits", "loss"}) {
    if (name.ends_with(kind)) return kind;
  }
  return "gradient";
}

// The errors of all arrays, and of each kind the root of their mean square.
struct Errors {
  std::map<std::string, double> of, typical;
  Errors(const Arrays& found, const Arrays& exact) {
    std::map<std::string, int> count;
    for (const auto& [name, values] : exact) {
      of[name] = error(found.at(name), values);
      typical[kind_of(name)] += of[name] * of[name];
      ++count[kind_of(name)];
    }
    for (auto& [kind, sum] : typical) sum = std::sqrt(sum / count[kind]);
  }
};

// Fused and composed differ in the order of their sums alone, so their errors are two samples of
// the same size: over many arrays not twice as large, and of one array, where either can be small
// by chance, within four times of what is usual.
void expect_no_worse(const Errors& fused, const Errors& composed) {
  for (const auto& [kind, typical] : fused.typical) {
    if (kind == "loss") continue;  // one number
    EXPECT_LE(typical, 2 * composed.typical.at(kind)) << kind;
  }
  for (const auto& [name, found] : fused.of) {
    const double usual = std::max(composed.typical.at(kind_of(name)), composed.of.at(name));
    EXPECT_LE(found, 4 * (name == "loss" ? composed.typical.at("logits") : usual)) << name;
  }
}

// In f32 the rounding of each convolution, forward and back, comes on top of the others'. (In f16
// it also decides on which side of a ReLU's kink a value lies, and gradients differ by whole
// terms.)
void check(const Network& n, DType dtype) {
  SCOPED_TRACE(name(dtype));
  const Arrays exact = step(n, dtype, true, false);
  const Arrays composed = step(n, dtype, false, false), fused = step(n, dtype, false, true);
  EXPECT_NE(fused, composed) << "the same bits: nothing was fused";
  const Errors of_fused(fused, exact), of_composed(composed, exact);
  expect_no_worse(of_fused, of_composed);
  if (dtype != DType::f32) return;
  const double bound = 2 * n.convolutions * 0x1p-23;
  EXPECT_LE(of_fused.typical.at("gradient"), bound);
  EXPECT_LE(of_composed.typical.at("gradient"), bound);
}

constexpr Network kResnet20{"resnet20", 0, 4, 8, 19}, kResnet18{"resnet18", 8, 4, 64, 20};

TEST(SimFusion, Resnet20InF32) { check(kResnet20, DType::f32); }
TEST(SimFusion, Resnet20InF16) { check(kResnet20, DType::f16); }
TEST(SimFusion, Resnet18InF32) { check(kResnet18, DType::f32); }
TEST(SimFusion, Resnet18InF16) { check(kResnet18, DType::f16); }

}  // namespace
}  // namespace convoy::nn
