// SPDX-License-Identifier: MIT
// The fused op on the simulator against its composition, which runs on cpu in f64 and whose own
// gradients gradcheck has confirmed. The networks are small enough that no activation lies so near
// to zero that rounding decides on its side.
#include "runtime/ops/conv2d_norm_act.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>

#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "runtime/profiler.h"
#include "tests/support/compare.h"
#include "tests/support/errors.h"
#include "tests/support/gpu_device.h"

namespace convoy {
namespace {

const Device kSim = ::convoy::testing::gpu_device();

// Parameters made in the order of the calls, in the dtype and on the device that a run wants.
struct Builder {
  TensorOptions options;
  std::uint32_t seed = 1;
  std::vector<Tensor> parameters;
  std::vector<Tensor> running;  // estimates

  Tensor random(const Shape& shape, double offset = 0) {
    auto values = testing::random_values<float>(shape.count(), seed++);
    for (float& v : values) v += static_cast<float>(offset);
    const Tensor t = from_vector(values, shape);
    return cast(t, options.dtype).to(options.device);
  }
  Tensor parameter(const Shape& shape, double offset = 0) {
    parameters.push_back(random(shape, offset).set_requires_grad(true));
    return parameters.back();
  }
  Normed unit(const Normed& x, const Shape& weight, bool relu, const Normed& shortcut = {},
              std::int64_t stride = 1) {
    const Shape channels{weight[0]};
    const Tensor w = parameter(weight), scale = parameter(channels, 1.5),
                 bias = parameter(channels);
    for (int i = 0; i < 2; ++i) {
      running.push_back(cast(random(channels, 2 * i), statistics_dtype(options.dtype)));
    }
    const NormOperands norm{scale, bias, running[running.size() - 2], running.back(), 0.25};
    const Conv2dOptions conv{.stride = {stride, stride}, .padding = {weight[1] / 2, weight[2] / 2}};
    return conv2d_norm_act(x, w, conv, norm, relu, shortcut);
  }
};

using Network = std::function<Tensor(Builder&, const Tensor& x)>;

std::vector<double> numbers(const Tensor& t) {
  return to_vector<double>(cast(t.to(Device{}), DType::f64));
}

// Everything that a training step of the network gives.
struct Outcome {
  std::vector<std::vector<double>> values;
  Outcome(const Network& network, const Shape& shape, const TensorOptions& options) {
    Builder build{options, 1, {}, {}};
    const Tensor x = build.random(shape).set_requires_grad(true);
    const Tensor y = network(build, x);
    y.backward(build.random(y.shape()));
    values = {numbers(y), numbers(x.grad())};
    for (const Tensor& p : build.parameters) values.push_back(numbers(p.grad()));
    for (const Tensor& r : build.running) values.push_back(numbers(r));
  }
};

// Errors grow with the sizes on the way: a bound for each array, from its largest value, the terms
// of the longest sum and the number of norms passed, each of which can double what came before.
void expect_agreement(const Network& network, const Shape& x, double terms, int norms) {
  const Outcome fused(network, x, {DType::f32, kSim}), exact(network, x, {DType::f64, {}});
  ASSERT_EQ(fused.values.size(), exact.values.size());
  for (std::size_t i = 0; i < fused.values.size(); ++i) {
    double largest = 0;
    for (const double v : exact.values[i]) largest = std::max(largest, std::abs(v));
    std::vector<float> found(fused.values[i].begin(), fused.values[i].end());
    testing::expect_close(found, exact.values[i],
                          {.k = terms, .scale = largest * std::pow(2, norms)},
                          "array " + std::to_string(i));
  }
}

Tensor bottleneck_pair(Builder& build, const Tensor& x) {
  Normed y = build.unit(x, {16, 3, 3, 3}, true);
  const Normed first = y;
  y = build.unit(y, {8, 1, 1, 16}, true);
  y = build.unit(y, {8, 3, 3, 8}, true);
  y = build.unit(y, {16, 1, 1, 8}, true, first);
  const Normed second = y;
  const Normed down = build.unit(y, {24, 1, 1, 16}, false, {}, 2);
  y = build.unit(y, {8, 1, 1, 16}, true);
  y = build.unit(y, {8, 3, 3, 8}, true, {}, 2);
  y = build.unit(y, {24, 1, 1, 8}, true, down);
  return y.tensor();
}

TEST(Conv2dNormAct, OneUnit) {
  for (const bool relu : {false, true}) {
    expect_agreement(
        [&](Builder& build, const Tensor& x) {
          return build.unit(x, {5, 3, 3, 3}, relu).tensor();
        },
        {2, 5, 7, 3}, 70, 1);
  }
}

TEST(Conv2dNormAct, TwoUnitsAndAPlainShortcut) {
  expect_agreement(
      [](Builder& build, const Tensor& x) {
        const Normed y = build.unit(x, {9, 3, 3, 6}, true);
        return build.unit(y, {6, 3, 3, 9}, true, x).tensor();
      },
      {2, 6, 5, 6}, 81, 2);
}

TEST(Conv2dNormAct, BottlenecksWithIdentityAndDownsample) {
  expect_agreement(bottleneck_pair, {2, 6, 5, 3}, 144, 8);
}

// Others may read what a fused reader also reads: in front of it, behind it, twice.
TEST(Conv2dNormAct, ReadByOtherOpsToo) {
  expect_agreement(
      [](Builder& build, const Tensor& x) {
        const Normed y = build.unit(x, {4, 3, 3, 4}, true);
        const Tensor before = sigmoid(y.tensor());
        const Normed z = build.unit(y, {4, 1, 1, 4}, true, y);
        return z.tensor() * before + y.tensor() + z.tensor();
      },
      {3, 5, 4, 4}, 60, 3);
}

// The tape must not wait for readers that no gradient comes from.
TEST(Conv2dNormAct, AReaderWithoutAGradient) {
  expect_agreement(
      [](Builder& build, const Tensor& x) {
        const Normed y = build.unit(x, {4, 3, 3, 4}, true);
        const Tensor kept = build.unit(y, {4, 1, 1, 4}, true).tensor();
        build.unit(y, {3, 1, 1, 4}, true);
        const Tensor result = build.unit(y, {5, 1, 1, 4}, true).tensor();
        for (int i = 0; i < 6; ++i) build.parameters.erase(build.parameters.begin() + 3);
        return result;
      },
      {3, 5, 4, 4}, 60, 2);
}

TEST(Conv2dNormAct, TheSameBitsEachTime) {
  const auto once = [] {
    return Outcome(bottleneck_pair, {2, 6, 5, 3}, {DType::f16, kSim}).values;
  };
  EXPECT_EQ(once(), once());
}

// Between two convolutions nothing but the convolutions and kernels of a thread per channel.
TEST(Conv2dNormAct, NoPassBetweenConvolutions) {
  Builder build{{DType::f32, kSim}, 1, {}, {}};
  const Tensor x = build.random({2, 6, 5, 4});
  const Normed y = build.unit(x, {8, 3, 3, 4}, true);
  Profiler::start();
  const Tensor z = build.unit(build.unit(y, {8, 3, 3, 8}, true), {8, 1, 1, 8}, true).tensor();
  z.backward(build.random(z.shape()));
  Profiler::stop();
  const std::string path = ::testing::TempDir() + "conv2d_norm_act_trace.json";
  Profiler::write(path);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  const auto calls = [trace = text.str()](const std::string& kernel) {
    int count = 0;
    const std::string name = "\"" + kernel + "\"";
    for (std::size_t at = 0; (at = trace.find(name, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_EQ(calls("Conv2dForward"), 2);
  EXPECT_EQ(calls("NormAct"), 1) << "only the last is applied by a pass of its own";
  EXPECT_EQ(calls("NormActBackward"), 1) << "only the last is masked by a pass of its own";
}

TEST(Conv2dNormAct, NamesWhatDoesNotFit) {
  Builder build{{DType::f32, kSim}, 1, {}, {}};
  const Tensor x = build.random({2, 3, 3, 4});
  testing::expect_says(
      testing::error_of([&] {
        build.unit(x, {4, 1, 1, 4}, true, build.random({2, 3, 3, 5}));
      }),
      "conv2d_norm_act: shortcut expects f32 of shape [2, 3, 3, 4], found f32 of shape "
      "[2, 3, 3, 5]");
  testing::expect_says(testing::error_of([&] {
                         build.unit(build.random({1, 1, 1, 4}), {4, 1, 1, 4}, true);
                       }),
                       "expects more than one pixel per channel");
}

}  // namespace
}  // namespace convoy
