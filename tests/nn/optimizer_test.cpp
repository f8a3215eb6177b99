// SPDX-License-Identifier: MIT
// Four steps of every optimizer against PyTorch 2.15 (lars: timm 1.0.31), in double precision there
// and float here.
#include "nn/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/require.h"
#include "nn/weights.h"
#include "runtime/ops/view.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn {
namespace {

// A matrix that decays and a vector that does not.
class TwoParameters : public Module {
 public:
  TwoParameters() {
    weight.detach().copy_(from_vector<float>({1, -2, 3, 0.5}, {2, 2}));
    bias.detach().copy_(from_vector<float>({0.25, -0.75}, {2}));
  }
  Tensor forward(const Tensor& x) override { return x; }
  Tensor weight = add_parameter("weight", {2, 2}, Init::constant(0));
  Tensor bias = add_parameter("bias", {2}, Init::constant(0));
};

void backward_of_step(int t, const Tensor& parameter) {
  std::vector<float> gradient;
  for (int i = 0; i < parameter.count(); ++i) {
    gradient.push_back(static_cast<float>(0.1 * (i + 1) * (t % 2 ? -1 : 1) + 0.05 * t));
  }
  parameter.backward(from_vector(gradient, parameter.shape()));
}

void take_step(Optimizer& optimizer, TwoParameters& model, int t) {
  optimizer.begin_step(0.1 / (t + 1));
  backward_of_step(t, model.weight);
  backward_of_step(t, model.bias);
  optimizer.step();
}

std::vector<float> values(const TwoParameters& model) {
  auto all = to_vector<float>(model.weight);
  for (const float b : to_vector<float>(model.bias)) all.push_back(b);
  return all;
}

struct Golden {
  const char* name;
  OptimizerOptions options;
  std::vector<double> expected;
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) { return out << golden.name; }

class OptimizerSteps : public ::testing::TestWithParam<Golden> {};

TEST_P(OptimizerSteps, MatchPyTorch) {
  TwoParameters model;
  ParameterStore store(model);
  Optimizer optimizer(store, GetParam().options);
  optimizer.set_steps(0);
  for (int t = 0; t < 4; ++t) take_step(optimizer, model, t);
  EXPECT_EQ(optimizer.steps(), 4);
  const auto found = values(model);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], GetParam().expected[i], 2e-6) << i;
  }
}

using enum OptimizerKind;
const std::vector<Golden> kGolden{
    {"Sgd",
     {.kind = sgd, .momentum = 0},
     {0.9845833333, -2.02125, 2.972916667, 0.4670833333, 0.2345833333, -0.77125}},
    {"SgdWeightDecay",
     {.kind = sgd, .momentum = 0, .weight_decay = 0.01},
     {0.982512496, -2.017066464, 2.966699572, 0.4660796738, 0.2345833333, -0.77125}},
    {"Momentum",
     {.kind = sgd, .weight_decay = 0.01},
     {0.9698847398, -2.031046798, 2.938339428, 0.4355527503, 0.2235733333, -0.7885075}},
    {"Nesterov",
     {.kind = sgd, .nesterov = true, .weight_decay = 0.01},
     {0.955438826, -2.044967094, 2.911285896, 0.4081711576, 0.2107993333, -0.80590675}},
    {"Adam",
     {.kind = adam, .weight_decay = 0.01, .betas = {0.9, 0.99}, .eps = 1e-6},
     {0.8411374626, -2.120685818, 2.86681131, 0.3794107258, 0.09852950244, -0.881307078}},
    {"AdamW",
     {.kind = adamw, .weight_decay = 0.01, .betas = {0.9, 0.99}, .eps = 1e-6},
     {0.8465691694, -2.127027973, 2.870362422, 0.3795985122, 0.09852950244, -0.881307078}},
    {"Rmsprop",
     {.kind = rmsprop, .momentum = 0, .weight_decay = 0.01, .alpha = 0.9, .eps = 1e-6},
     {0.6310142447, -2.268314124, 2.713116415, 0.2421133588, -0.1045270856, -1.040966004}},
    {"RmspropMomentum",
     {.kind = rmsprop, .weight_decay = 0.01, .alpha = 0.9, .eps = 1e-6},
     {0.343975709, -2.494553373, 2.466355044, 0.01300498825, -0.3791643075, -1.284245993}},
    {"Lars",
     {.kind = lars, .weight_decay = 0.01, .trust_coefficient = 0.02},
     {0.9964323877, -2.002958326, 2.993586562, 0.4939418236, 0.2235733333, -0.7885075}},
    {"LarsNesterov",
     {.kind = lars, .nesterov = true, .weight_decay = 0.01, .trust_coefficient = 0.02},
     {0.9946579009, -2.004212266, 2.990915537, 0.4916702437, 0.2107993333, -0.80590675}}};

std::string golden_name(const ::testing::TestParamInfo<Golden>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Optimizers, OptimizerSteps, ::testing::ValuesIn(kGolden), golden_name);

// Saved after two steps and loaded into another optimizer, two more steps give the same bits.
TEST_P(OptimizerSteps, ResumeFromAFileBitExactly) {
  const convoy::testing::TemporaryFolder folder;
  TwoParameters model, other;
  ParameterStore store(model), other_store(other);
  Optimizer optimizer(store, GetParam().options), resumed(other_store, GetParam().options);
  optimizer.set_steps(0);
  take_step(optimizer, model, 0);
  take_step(optimizer, model, 1);
  save_weights(model, folder / "model");
  save_tensors(optimizer.state(), folder / "optimizer");
  take_step(optimizer, model, 2);
  load_weights(other, folder / "model");
  load_tensors(resumed.state(), folder / "optimizer", "the optimizer");
  resumed.set_steps(2);
  take_step(resumed, other, 2);
  EXPECT_EQ(values(model), values(other));
}

TEST(Optimizer, StateIsNamedByParameter) {
  TwoParameters model;
  ParameterStore store(model);
  const Optimizer optimizer(store, {.kind = adamw});
  const auto state = optimizer.state();
  ASSERT_EQ(state.size(), 4u);
  EXPECT_EQ(state[0].name, "exp_avg.weight");
  EXPECT_EQ(state[1].name, "exp_avg_sq.weight");
  EXPECT_EQ(state[3].name, "exp_avg_sq.bias");
  EXPECT_EQ(state[0].tensor.shape(), (Shape{2, 2}));
}

TEST(Optimizer, AStepWithInfiniteGradientsIsSkipped) {
  TwoParameters model;
  ParameterStore store(model);
  Optimizer optimizer(store, {.kind = sgd});
  optimizer.set_steps(5);
  const auto before = values(model);
  optimizer.begin_step(0.1);
  model.weight.backward(full({2, 2}, std::numeric_limits<double>::infinity()));
  clip_grad_norm(store, 1);
  optimizer.step();
  EXPECT_EQ(values(model), before);
  EXPECT_EQ(optimizer.steps(), 5);
  take_step(optimizer, model, 0);
  EXPECT_NE(values(model), before);
}

// The norm is taken over both groups: sqrt(4 * 3^2 + 2 * 4^2) * 0.5 = 4.1231.
TEST(Optimizer, ClipGradNorm) {
  TwoParameters model;
  ParameterStore store(model);
  Optimizer optimizer(store, {.kind = sgd, .momentum = 0});
  optimizer.begin_step(1, 0.5);
  model.weight.backward(full({2, 2}, 3));
  model.bias.backward(full({2}, 4));
  clip_grad_norm(store, 2);
  EXPECT_NEAR(step_state({}).host().gradient_norm, std::sqrt(17), 1e-6);
  const auto before = values(model);
  optimizer.step();
  EXPECT_NEAR(before[0] - values(model)[0], 1.5 * 2 / std::sqrt(17), 1e-5);
  EXPECT_NEAR(before[4] - values(model)[4], 2.0 * 2 / std::sqrt(17), 1e-5);
  optimizer.begin_step(1, 0.5);
  model.weight.backward(full({2, 2}, 0.1));
  clip_grad_norm(store, 2);
  EXPECT_NEAR(step_state({}).host().gradient_norm, 0.1, 1e-6);
  EXPECT_EQ(step_state({}).host().clip_factor, 1) << "short gradients stay as they are";
}

TEST(Optimizer, BadOptions) {
  TwoParameters model;
  ParameterStore store(model);
  EXPECT_THROW(Optimizer(store, {.kind = sgd, .momentum = 0, .nesterov = true}), Error);
  EXPECT_EQ(parse_optimizer_kind("lars"), lars);
  try {
    parse_optimizer_kind("adamx");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
  }
}

}  // namespace
}  // namespace convoy::nn
