// SPDX-License-Identifier: MIT
// Whole networks against PyTorch: both sides work out weights and images by formula(), so the files
// in tests/golden/models hold only results.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "nn/models.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/places.h"

namespace convoy::nn {
namespace {

// Element i of series p, in [-1, 1).
double formula(std::uint32_t p, std::uint32_t i) {
  std::uint32_t h = i * 2654435761u + p * 40503u + 12345u;
  h = (h ^ h >> 16) * 2246822519u;
  h = (h ^ h >> 13) * 3266489917u;
  return static_cast<double>(h ^ h >> 16) / 2147483648.0 - 1;
}

// Visits element i of PyTorch's order (OIHW or NCHW) with its place in ours.
template <class F>
void for_each_place(const Shape& s, F&& f) {
  if (s.rank() != 4) {
    for (std::int64_t i = 0; i < s.count(); ++i) f(static_cast<std::uint32_t>(i), i);
    return;
  }
  std::uint32_t i = 0;
  for (std::int64_t n = 0; n < s[0]; ++n) {
    for (std::int64_t c = 0; c < s[3]; ++c) {
      for (std::int64_t pixel = 0; pixel < s[1] * s[2]; ++pixel) {
        f(i++, (n * s[1] * s[2] + pixel) * s[3] + c);
      }
    }
  }
}

template <class T>
Tensor series(std::uint32_t p, const Shape& shape, double scale, double shift = 0) {
  std::vector<T> values(static_cast<std::size_t>(shape.count()));
  for_each_place(shape, [&](std::uint32_t i, std::int64_t place) {
    values[static_cast<std::size_t>(place)] = static_cast<T>(shift + scale * formula(p, i));
  });
  return from_vector(values, shape);
}

// Gives every parameter and buffer new memory, of type T.
template <class T>
void set_weights(Module& model) {
  std::uint32_t p = 0;
  for (const NamedTensor& t : model.state()) {
    const Shape& s = t.tensor.shape();
    double scale = 0.1, shift = 0;
    if (t.name.ends_with("running_var")) {
      scale = 0.25;
      shift = 1.25;
    } else if (t.name.ends_with("gamma")) {
      scale = 0.5;
    } else if (s.rank() > 1) {
      scale = std::sqrt(3.0 / static_cast<double>(s.count() / s[0]));
    } else if (t.name.ends_with("weight")) {
      scale = 0.2;
      shift = 1;
    }
    const bool parameter = t.tensor.requires_grad();
    *t.tensor.impl() = *series<T>(p++, s, scale, shift).impl();
    t.tensor.impl()->requires_grad = parameter;
  }
}

struct Case {
  const char* name;
  std::int64_t size, channels;
  bool gradients = true;
};
std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class ModelGolden : public ::testing::TestWithParam<Case> {
 protected:
  ModelGolden()
      : file_(convoy::testing::place("CONVOY_GOLDEN", CONVOY_GOLDEN) + "/models/" +
              GetParam().name + ".txt"),
        model_(create_model(GetParam().name, {.num_classes = 10})) {}
  template <class T>
  Tensor images() const {
    return series<T>(9999, {4, GetParam().size, GetParam().size, GetParam().channels}, 2);
  }
  // The words of the next line, which must begin with `keyword`; empty at the end.
  std::vector<std::string> line(const std::string& keyword) {
    std::string text, word;
    std::getline(file_, text);
    std::istringstream in(text);
    std::vector<std::string> words;
    while (in >> word) words.push_back(word);
    EXPECT_TRUE(words.empty() || words[0] == keyword) << text;
    return words;
  }

  std::ifstream file_;
  std::unique_ptr<Module> model_;
};

TEST_P(ModelGolden, LogitsLossAndGradientsAreThoseOfPyTorch) {
  ASSERT_TRUE(file_) << "no golden file";
  const auto logits = line("logits");
  ASSERT_EQ(logits.size(), 41u);
  {
    const NoGrad inference;
    model_->eval();
    set_weights<float>(*model_);
    const auto found = to_vector<float>(model_->forward(images<float>()));
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i], std::stod(logits[i + 1]), 2e-5) << "logit " << i;
    }
  }
  if (!GetParam().gradients) return;
  // In float a ReLU's input close to zero may take the other side, and deep networks with a small
  // batch make much of it: PyTorch's own gradients differ by a percent. So these are in double.
  model_->train();
  set_weights<double>(*model_);
  const Tensor target = from_vector<std::int64_t>({1, 3, 0, 9}, {4});
  const Tensor loss = cross_entropy(model_->forward(images<double>()), target);
  EXPECT_NEAR(loss.item(), std::stod(line("loss").at(1)), 1e-6);
  loss.backward();
  const auto parameters = model_->parameters();
  int compared = 0;
  for (auto words = line("grad"); !words.empty(); words = line("grad"), ++compared) {
    std::uint32_t index = 0;
    while (parameters[index].name != words[1]) ++index;
    const auto gradient = to_vector<double>(parameters[index].tensor.grad());
    double norm = 0, product = 0;
    for_each_place(parameters[index].tensor.shape(), [&](std::uint32_t i, std::int64_t place) {
      const double g = gradient[static_cast<std::size_t>(place)];
      norm += g * g;
      product += g * formula(index + 5000, i);
    });
    const double expected = std::stod(words[2]);
    EXPECT_NEAR(std::sqrt(norm), expected, 1e-6 * expected) << words[1];
    EXPECT_NEAR(product, std::stod(words[3]), 1e-6 * expected) << words[1];
  }
  EXPECT_GE(compared, 7);
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Models, ModelGolden,
                         ::testing::Values(Case{"lenet5", 28, 1}, Case{"resnet20", 32, 3},
                                           Case{"resnet18", 64, 3}, Case{"resnet50", 64, 3},
                                           Case{"mobilenetv2_100", 64, 3},
                                           Case{"densenet121", 64, 3}, Case{"convnext_tiny", 64, 3},
                                           // a gigabyte of gradients in double
                                           Case{"vgg11_bn", 64, 3, false}),
                         case_name);

}  // namespace
}  // namespace convoy::nn
