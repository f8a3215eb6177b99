// SPDX-License-Identifier: MIT
// Half weights with f32 masters on the simulator: networks learn in each precision, the loss scale
// finds its way, an overflow is skipped and named, and a resumed run has the same bits.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "nn/grad_scaler.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "nn/weights.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "runtime/step_reports.h"
#include "tests/support/compare.h"
#include "tests/support/gpu_device.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn {
namespace {

const Device kSim = ::convoy::testing::gpu_device();
using Half = std::optional<DType>;

// Two layers of 18 and 2 values, for what is asked of many steps.
class TwoLayers : public Module {
 public:
  TwoLayers() : hidden_(add<Linear>("hidden", 16, 18)), out_(add<Linear>("out", 18, 2)) {}
  Tensor forward(const Tensor& x) override {
    return out_(relu(hidden_(reshape(x, {x.size(0), 16}))));
  }

 private:
  Linear &hidden_, &out_;
};

struct Network {
  const char* model;            // or null: TwoLayers
  std::int64_t size, channels;  // of its images

  std::unique_ptr<Module> make() const {
    if (model == nullptr) return std::make_unique<TwoLayers>();
    return create_model(model, {.num_classes = 2, .in_channels = static_cast<int>(channels)});
  }
};

// Noise, with a brighter half that tells the class.
std::pair<Tensor, Tensor> batch(const Network& n, std::int64_t rows, std::uint32_t seed) {
  const std::int64_t pixels = n.size * n.size * n.channels;
  auto values = testing::random_values<float>(rows * pixels, seed);
  std::vector<std::int64_t> classes;
  for (std::int64_t r = 0; r < rows; ++r) {
    classes.push_back((r + seed) % 2);
    const std::int64_t first = r * pixels + classes.back() * pixels / 2;
    for (std::int64_t i = first; i < first + pixels / 2; ++i) {
      values[static_cast<std::size_t>(i)] += 1;
    }
  }
  return {from_vector(values, {rows, n.size, n.size, n.channels}), from_vector(classes, {rows})};
}

// A model, its parameters and all that trains them.
struct Training {
  Training(const Network& network, Half half, const GradScalerOptions& scaling = {},
           const OptimizerOptions& options = {.momentum = 0.9})
      : net(network),
        model(network.make()),
        store(prepared(*model), kSim, {}, half),
        optimizer(store, options),
        scaler(kSim, scaling),
        dtype(half.value_or(DType::f32)) {
    optimizer.set_steps(0);
  }
  static Module& prepared(Module& model) {
    initialize(model, 1);
    return model;
  }

  // The loss; `spoil` is called with the gradients before the step.
  double step(std::uint32_t seed, double learning_rate = 0.02,
              const std::function<void(ParameterStore&)>& spoil = {}) {
    const auto [x, y] = batch(net, 8, seed);
    optimizer.begin_step(learning_rate);
    const Tensor loss = cross_entropy(model->forward(cast(x.to(kSim), dtype)), y.to(kSim), {});
    scaler.backward(loss);
    if (spoil) spoil(store);
    scaler.step(optimizer);
    reports.push(current_stream(kSim));
    last = reports.wait();
    return loss.item();
  }
  std::vector<double> steps(int count, double learning_rate = 0.02) {
    std::vector<double> losses;
    for (int i = 0; i < count; ++i) {
      losses.push_back(step(static_cast<std::uint32_t>(i), learning_rate));
    }
    return losses;
  }
  std::vector<float> masters() const {
    std::vector<float> all;
    for (const ParameterGroup& group : store.groups()) {
      const auto values = to_vector<float>(group.masters);
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  }

  Network net;
  std::unique_ptr<Module> model;
  ParameterStore store;
  Optimizer optimizer;
  GradScaler scaler;
  DType dtype;
  StepReports reports{kSim};
  StepState last;
};

double mean(const std::vector<double>& losses, std::size_t first) {
  return (losses[first] + losses[first + 1] + losses[first + 2]) / 3;
}

// Training in half follows training in f32: each loss within what rounding each of the network's
// `layers` results once does to it, in either direction, and what that does to later steps.
void expect_learns(const Network& network, int count, double learning_rate, double layers) {
  const std::vector<double> exact = Training(network, {}).steps(count, learning_rate);
  const auto last = static_cast<std::size_t>(count) - 3;
  EXPECT_LT(mean(exact, last), 0.8 * mean(exact, 0));
  for (const DType half : {DType::f16, DType::bf16}) {
    SCOPED_TRACE(name(half));
    const bool dynamic = half == DType::f16;
    Training training(network, half, {.initial_scale = dynamic ? 65536.0 : 1, .dynamic = dynamic});
    const std::vector<double> losses = training.steps(count, learning_rate);
    EXPECT_EQ(training.last.updates + training.last.skipped, count);
    EXPECT_LE(training.last.skipped, dynamic ? 2 : 0);
    EXPECT_LT(mean(losses, last), 0.8 * mean(losses, 0));
    const double eps = half == DType::f16 ? 0x1p-10 : 0x1p-7;
    EXPECT_NEAR(losses[0], exact[0], layers * eps) << "the same weights, rounded";
  }
}

TEST(MixedPrecision, LenetLearnsInEachPrecision) { expect_learns({"lenet5", 28, 1}, 12, 0.1, 5); }
TEST(MixedPrecision, Resnet20LearnsInEachPrecision) {
  expect_learns({"resnet20", 8, 3}, 9, 0.02, 20);
}

constexpr Network kSmall{nullptr, 4, 1};

TEST(MixedPrecision, TheModelHoldsTheMastersRounded) {
  Training training(kSmall, DType::f16);
  training.steps(2);
  for (const ParameterGroup& group : training.store.groups()) {
    ASSERT_EQ(group.values.dtype(), DType::f16);
    ASSERT_EQ(group.gradients.dtype(), DType::f32);
    EXPECT_EQ(to_vector<float>(cast(group.values, DType::f32)),
              to_vector<float>(cast(cast(group.masters, DType::f16), DType::f32)));
  }
  for (const NamedTensor& p : training.model->parameters()) {
    EXPECT_EQ(p.tensor.dtype(), DType::f16) << p.name;
  }
}

TEST(MixedPrecision, RunningStatisticsStayInF32) {
  const Training training({"resnet20", 8, 3}, DType::bf16);
  for (const NamedTensor& b : training.model->buffers()) {
    EXPECT_EQ(b.tensor.dtype(), DType::f32) << b.name;
  }
}

// 2^40 is too large for any f16 gradient; the steps that find out are skipped. Then it grows until
// it is too large again.
TEST(MixedPrecision, TheScaleBacksOffAndGrows) {
  Training training(kSmall, DType::f16, {.initial_scale = 0x1p40, .window = 2});
  const std::vector<float> before = training.masters();
  training.step(0);
  EXPECT_EQ(training.last.loss_scale, 0x1p39f);
  EXPECT_EQ(training.last.skipped, 1);
  EXPECT_EQ(training.masters(), before) << "a skipped step changes nothing";
  int grown = 0, backed_off = 0;
  float scale = training.last.loss_scale;
  for (std::uint32_t i = 1; i < 45; ++i) {
    training.step(i);
    grown += training.last.loss_scale == 2 * scale;
    backed_off += training.last.loss_scale == scale / 2;
    scale = training.last.loss_scale;
  }
  EXPECT_GE(grown, 2);
  EXPECT_GE(backed_off, 15);
  EXPECT_EQ(training.last.updates, 45 - training.last.skipped);
  EXPECT_EQ(training.optimizer.steps(), training.last.updates);
  EXPECT_NE(training.masters(), before);
}

// The scale is taken out again: a power of two changes no bit of f32 training.
TEST(MixedPrecision, ThePowerOfTwoCancelsInF32) {
  Training plain(kSmall, {}, {.initial_scale = 1, .dynamic = false});
  plain.steps(3);
  const std::vector<float> expected = plain.masters();
  Training scaled(kSmall, {}, {.initial_scale = 1024, .dynamic = false});
  scaled.steps(3);
  EXPECT_EQ(scaled.masters(), expected);
}

TEST(MixedPrecision, FiftySkippedStepsInARowAreAnErrorThatNamesTheParameter) {
  Training training(kSmall, DType::f16, {.initial_scale = 4});
  const auto spoil = [](ParameterStore& store) {
    Tensor g = ParameterStore::view(store.groups()[0].gradients, store.groups()[0].slices[1]);
    g.fill_(std::numeric_limits<double>::infinity());
  };
  for (std::uint32_t i = 0; i < kMostSkippedInARow - 1; ++i) training.step(i, 0.02, spoil);
  EXPECT_NO_THROW(require_progress(training.last, training.store));
  training.step(49, 0.02, spoil);
  EXPECT_EQ(training.last.loss_scale, 1) << "it is never lower";
  try {
    require_progress(training.last, training.store);
    FAIL();
  } catch (const Error& error) {
    const std::string text = error.what(), name = training.store.groups()[0].slices[1].name;
    EXPECT_EQ(error.kind(), ErrorKind::diverged);
    EXPECT_NE(text.find("50 steps in a row were skipped"), std::string::npos) << text;
    EXPECT_NE(text.find(name), std::string::npos) << text;
  }
  training.step(50);
  EXPECT_EQ(training.last.skipped_in_a_row, 0);
}

// Names go through all groups in order.
TEST(MixedPrecision, ABiasOfTheSecondGroupIsNamed) {
  Training training(kSmall, DType::bf16);
  training.step(0, 0.02, [](ParameterStore& store) {
    Tensor g = ParameterStore::view(store.groups()[1].gradients, store.groups()[1].slices[1]);
    g.fill_(std::numeric_limits<double>::quiet_NaN());
  });
  ASSERT_NE(training.last.first_bad, kNoParameter);
  EXPECT_EQ(training.store.name_of(training.last.first_bad),
            training.store.groups()[1].slices[1].name);
  training.step(1);
  EXPECT_EQ(training.last.first_bad, kNoParameter);
}

// Saved around a step that backs off, and loaded into another network: the same bits from there on.
TEST(MixedPrecision, ResumesBitExactly) {
  const testing::TemporaryFolder folder;
  const GradScalerOptions scaling{.initial_scale = 0x1p36, .window = 2};
  const OptimizerOptions adamw{.kind = OptimizerKind::adamw};
  std::vector<float> expected;
  StepState end, saved;
  {
    Training whole(kSmall, DType::f16, scaling, adamw);
    whole.steps(3);
    saved = whole.last;
    save_weights(*whole.model, whole.store, folder / "model");
    save_tensors(whole.optimizer.state(), folder / "optimizer");
    for (std::uint32_t i = 3; i < 24; ++i) whole.step(i);
    expected = whole.masters(), end = whole.last;
  }
  ASSERT_GT(end.updates, 2) << "the second half must take steps";
  Training resumed(kSmall, DType::f16, scaling, adamw);
  load_weights(*resumed.model, resumed.store, folder / "model");
  load_tensors(resumed.optimizer.state(), folder / "optimizer", "the optimizer");
  resumed.optimizer.set_steps(3, saved.skipped);
  resumed.scaler.restore(saved);
  for (std::uint32_t i = 3; i < 24; ++i) resumed.step(i);
  EXPECT_EQ(resumed.masters(), expected);
  EXPECT_EQ(resumed.last.loss_scale, end.loss_scale);
  EXPECT_EQ(resumed.last.updates, end.updates);
  EXPECT_EQ(resumed.last.good_steps, end.good_steps);
}

TEST(MixedPrecision, BadOptionsAreRefused) {
  const auto model = create_model("lenet5");
  EXPECT_THROW(ParameterStore(*model, kSim, {}, DType::f64), Error);
  EXPECT_THROW(GradScaler(kSim, {.initial_scale = 0}), Error);
  EXPECT_THROW(GradScaler(kSim, {.window = 0}), Error);
  EXPECT_THROW(GradScaler(kSim, {.initial_scale = 2, .least = 4}), Error);
}

}  // namespace
}  // namespace convoy::nn
