// SPDX-License-Identifier: MIT
#include "nn/models.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "kernels/require.h"
#include "nn/layers.h"
#include "runtime/autograd.h"
#include "tests/support/places.h"

namespace convoy::nn {
namespace {

struct Size {
  const char* name;
  std::int64_t parameters;
};

// The published counts; those of the CIFAR networks are of the weights that people exchange.
const std::vector<Size> kSizes{
    {"convnext_tiny", 28'589'128},  {"densenet121", 7'978'856}, {"lenet5", 61'706},
    {"mobilenetv2_100", 3'504'872}, {"resnet18", 11'689'512},   {"resnet34", 21'797'672},
    {"resnet50", 25'557'032},       {"resnet20", 269'722},      {"resnet32", 464'154},
    {"resnet44", 658'586},          {"resnet56", 853'018},      {"resnet110", 1'727'962},
    {"vgg11_bn", 132'868'840},      {"vgg16_bn", 138'365'992}};

std::string shape_text(const Tensor& tensor) {
  const Shape& s = tensor.shape();
  // KRSC, as PyTorch writes it.
  const Shape out = s.rank() == 4 ? Shape{s[0], s[3], s[1], s[2]} : s;
  std::string text;
  for (int i = 0; i < out.rank(); ++i) text += fmt::format("{}{}", i ? "," : "", out[i]);
  return text;
}

TEST(Models, ParameterCountsAndStateKeys) {
  ASSERT_EQ(model_list().size(), kSizes.size());
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    const char* name = kSizes[i].name;
    EXPECT_STREQ(model_list()[i].name, name);
    const auto model = create_model(name);
    EXPECT_EQ(model->parameter_count(), kSizes[i].parameters) << name;
    std::ifstream keys(convoy::testing::place("CONVOY_GOLDEN", CONVOY_GOLDEN) + "/state_keys/" +
                       name + ".txt");
    if (!keys) continue;
    std::string expected, found;
    std::getline(keys, expected, '\0');
    for (const NamedTensor& t : model->state()) {
      found += t.name + " " + shape_text(t.tensor) + "\n";
    }
    EXPECT_EQ(found, expected) << name;
  }
}

TEST(Models, GoldenKeyFilesArePresent) {
  for (const char* name : {"convnext_tiny", "densenet121", "mobilenetv2_100", "resnet18",
                           "resnet34", "resnet50", "vgg11_bn", "vgg16_bn"}) {
    EXPECT_TRUE(std::ifstream(convoy::testing::place("CONVOY_GOLDEN", CONVOY_GOLDEN) +
                              "/state_keys/" + name + ".txt"))
        << name;
  }
}

std::string usage_error(std::string_view name, const ModelOptions& options = {}) {
  try {
    create_model(name, options);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    return e.what();
  }
  return "no error";
}

TEST(Models, UnknownNamesAreAnsweredWithTheNearest) {
  EXPECT_NE(usage_error("resnet19").find("no 'resnet19'; the nearest names are resnet18"),
            std::string::npos)
      << usage_error("resnet19");
  EXPECT_NE(usage_error("mobilenet_v2").find("mobilenetv2_100"), std::string::npos);
  EXPECT_NE(usage_error("vgg16").find("vgg16_bn"), std::string::npos);
}

TEST(Models, BadOptionsAreUsageErrors) {
  EXPECT_NE(usage_error("resnet18", {.drop = 1}).find("--drop: expected a value in [0, 1)"),
            std::string::npos);
  EXPECT_NE(usage_error("resnet18", {.num_classes = -1}).find("--num-classes"), std::string::npos);
  EXPECT_NE(usage_error("lenet5", {.drop_path = 0.1}).find("no residual blocks"),
            std::string::npos);
  EXPECT_NE(usage_error("resnet20", {.base_width = 8}).find("found 8 and resnet20"),
            std::string::npos);
  EXPECT_NE(usage_error("resnet18", {.base_width = -8}).find("found -8 and resnet18"),
            std::string::npos);
}

TEST(Models, ClassesAndChannelsFollowTheOptions) {
  for (const char* name :
       {"convnext_tiny", "densenet121", "mobilenetv2_100", "resnet18", "resnet20"}) {
    const auto model = create_model(name, {.num_classes = 7, .in_channels = 1});
    model->eval();
    const NoGrad inference;
    EXPECT_EQ(model->forward(full({2, 64, 64, 1}, 0.5)).shape(), (Shape{2, 7})) << name;
  }
  EXPECT_THROW(create_model("lenet5")->forward(zeros({1, 32, 32, 1})), Error);
}

// Every residual block but the first can be dropped.
TEST(Models, DropPathRatesRiseFromZero) {
  const std::map<std::string, int> blocks{
      {"resnet18", 7}, {"resnet20", 8}, {"mobilenetv2_100", 16}, {"convnext_tiny", 17}};
  for (const auto& [name, expected] : blocks) {
    const auto model = create_model(name, {.drop_path = 0.2});
    int active = 0;
    model->for_each<DropPath>([&](DropPath& path) { active += path.active(); });
    EXPECT_EQ(active, expected) << name;
  }
}

// Dropout and drop-path change the result in training, and only there.
TEST(Models, DropAndDropPathWork) {
  for (const ModelOptions& options : {ModelOptions{.num_classes = 4, .drop = 0.3},
                                      ModelOptions{.num_classes = 4, .drop_path = 0.6}}) {
    const auto plain = create_model("resnet20", {.num_classes = 4});
    const auto dropping = create_model("resnet20", options);
    initialize(*plain, 1);
    initialize(*dropping, 1);
    const NoGrad inference;
    const Tensor x = full({4, 32, 32, 3}, 0.5);
    plain->eval();
    dropping->eval();
    EXPECT_EQ(to_vector<float>(plain->forward(x)), to_vector<float>(dropping->forward(x)));
    plain->train();
    dropping->train();
    EXPECT_NE(to_vector<float>(plain->forward(x)), to_vector<float>(dropping->forward(x)));
  }
}

TEST(Models, StartAsTheirAuthorsSay) {
  const auto start = [](const char* name, std::size_t parameter) {
    const auto model = create_model(name);
    initialize(*model, 1);
    const auto values = to_vector<float>(model->parameters()[parameter].tensor);
    double squares = 0;
    for (const float v : values) squares += static_cast<double>(v) * v;
    return std::sqrt(squares / static_cast<double>(values.size()));
  };
  EXPECT_NEAR(start("resnet18", 0), std::sqrt(2.0 / (64 * 49)), 5e-4);  // fan out
  EXPECT_EQ(start("resnet18", 7), 0);                                   // layer1.0.bn2.weight
  EXPECT_NEAR(start("resnet20", 0), std::sqrt(2.0 / 27), 0.03);         // fan in
  EXPECT_NEAR(start("mobilenetv2_100", 3), std::sqrt(2.0 / 9), 0.06);   // depthwise
  EXPECT_NEAR(start("lenet5", 0), 1 / std::sqrt(25.0 * 3), 0.01);       // uniform
}

}  // namespace
}  // namespace convoy::nn
