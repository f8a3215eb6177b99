// SPDX-License-Identifier: MIT
// Weights that were trained by others: the outputs of every stage for the first eight CIFAR-10 test
// images must be those of PyTorch.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "nn/layers.h"
#include "nn/models.h"
#include "nn/weights.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/places.h"

namespace convoy::nn {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kImages = 8, kSize = 32;
constexpr std::size_t kRecord = 1 + 3 * kSize * kSize;

// The first images of the file, normalised as the weights expect, NHWC.
Tensor first_images(const fs::path& file) {
  std::vector<unsigned char> bytes(kImages * kRecord);
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
  std::vector<float> values;
  for (std::size_t n = 0; n < kImages; ++n) {
    for (std::size_t pixel = 0; pixel < kSize * kSize; ++pixel) {
      for (std::size_t c = 0; c < 3; ++c) {
        const unsigned char byte = bytes[n * kRecord + 1 + c * kSize * kSize + pixel];
        values.push_back((static_cast<float>(byte) / 255.0f - mean[c]) / std[c]);
      }
    }
  }
  return from_vector(values, {kImages, kSize, kSize, 3});
}

void expect_stage(const SafetensorsReader& golden, const char* name, const Tensor& found) {
  const auto raw = golden.read(golden.entry(name));
  std::vector<float> expected(raw.size() / sizeof(float));
  std::memcpy(expected.data(), raw.data(), raw.size());
  const Tensor nchw = found.rank() == 4 ? permute(found, {0, 3, 1, 2}) : found;
  const auto values = to_vector<float>(nchw);
  ASSERT_EQ(values.size(), expected.size()) << name;
  float worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    worst = std::max(worst, std::abs(values[i] - expected[i]));
  }
  EXPECT_LE(worst, 1e-4f) << name;
}

TEST(Resnet20, StagesOfThePretrainedModelAgreeWithPyTorch) {
  const fs::path data = convoy::testing::place("CONVOY_DATA", CONVOY_DATA);
  const fs::path weights = data / "pretrained/resnet20.safetensors";
  const fs::path images = data / "cifar10/test_batch.bin";
  if (!fs::exists(weights) || !fs::exists(images)) GTEST_SKIP() << "no data in " << data;
  const auto model = create_model("resnet20");
  load_weights(*model, weights);
  model->eval();
  const SafetensorsReader golden(data / "pretrained/resnet20_golden.safetensors");
  const NoGrad inference;
  const Tensor x = first_images(images);
  Tensor y = relu(model->get("bn1").forward(model->get("conv1").forward(x)));
  expect_stage(golden, "stem", y);
  for (const char* stage : {"layer1", "layer2", "layer3"}) {
    y = model->get(stage).forward(y);
    expect_stage(golden, stage, y);
  }
  y = global_avg_pool(y);
  expect_stage(golden, "pool", y);
  expect_stage(golden, "logits", model->get("linear").forward(y));
  expect_stage(golden, "logits", model->forward(x));
}

}  // namespace
}  // namespace convoy::nn
