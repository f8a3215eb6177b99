// SPDX-License-Identifier: MIT
// DenseNet (Huang et al., arXiv:1608.06993), torchvision's names: each layer sees the outputs of
// all before it in its block.
#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/concat.h"

namespace convoy::nn {
namespace {

constexpr std::int64_t kGrowth = 32;
constexpr std::array<int, 4> kBlocks{6, 12, 24, 16};

class DenseLayer : public Module {
 public:
  explicit DenseLayer(std::int64_t in_channels)
      : norm1_(add<BatchNorm2d>("norm1", in_channels)),
        conv1_(add<Conv2d>("conv1", in_channels, 4 * kGrowth, 1, Conv2dSettings{.bias = false})),
        norm2_(add<BatchNorm2d>("norm2", 4 * kGrowth)),
        conv2_(add<Conv2d>("conv2", 4 * kGrowth, kGrowth, 3,
                           Conv2dSettings{.padding = 1, .bias = false})) {}
  // x with kGrowth more channels
  Tensor forward(const Tensor& x) override {
    const Tensor y = conv1_(norm1_.forward_relu(x));
    return concat({x, conv2_(norm2_.forward_relu(y))}, 3);
  }

 private:
  BatchNorm2d& norm1_;
  Conv2d& conv1_;
  BatchNorm2d& norm2_;
  Conv2d& conv2_;
};

class DenseBlock : public Module {
 public:
  DenseBlock(std::int64_t in_channels, int layers) {
    for (int i = 0; i < layers; ++i) {
      layers_.push_back(
          &add<DenseLayer>("denselayer" + std::to_string(i + 1), in_channels + i * kGrowth));
    }
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (DenseLayer* layer : layers_) y = (*layer)(y);
    return y;
  }

 private:
  std::vector<DenseLayer*> layers_;
};

// Half the channels, half the size.
class Transition : public Module {
 public:
  explicit Transition(std::int64_t channels)
      : norm_(add<BatchNorm2d>("norm", channels)),
        conv_(add<Conv2d>("conv", channels, channels / 2, 1, Conv2dSettings{.bias = false})) {}
  Tensor forward(const Tensor& x) override {
    return avg_pool2d(conv_(norm_.forward_relu(x)), {.kernel_size = {2, 2}});
  }

 private:
  BatchNorm2d& norm_;
  Conv2d& conv_;
};

class Features : public Module {
 public:
  explicit Features(std::int64_t in_channels)
      : conv0_(add<Conv2d>("conv0", in_channels, 2 * kGrowth, 7,
                           Conv2dSettings{.stride = 2, .padding = 3, .bias = false})),
        norm0_(add<BatchNorm2d>("norm0", 2 * kGrowth)) {
    for (std::size_t i = 0; i < kBlocks.size(); ++i) {
      const std::string number = std::to_string(i + 1);
      stages_.push_back(&add<DenseBlock>("denseblock" + number, channels_, kBlocks[i]));
      channels_ += kBlocks[i] * kGrowth;
      if (i + 1 == kBlocks.size()) break;
      stages_.push_back(&add<Transition>("transition" + number, channels_));
      channels_ /= 2;
    }
    norm5_ = &add<BatchNorm2d>("norm5", channels_);
  }

  Tensor forward(const Tensor& x) override {
    Tensor y = norm0_.forward_relu(conv0_(x));
    y = max_pool2d(y, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    for (Module* stage : stages_) y = (*stage)(y);
    return norm5_->forward_relu(y);
  }
  std::int64_t channels() const { return channels_; }

 private:
  Conv2d& conv0_;
  BatchNorm2d& norm0_;
  std::vector<Module*> stages_;
  BatchNorm2d* norm5_ = nullptr;
  std::int64_t channels_ = 2 * kGrowth;
};

class DenseNet : public Module {
 public:
  explicit DenseNet(const ModelOptions& o)
      : features_(add<Features>("features", o.in_channels)),
        drop_(add<Dropout>("drop", o.drop)),
        classifier_(add<Linear>("classifier", features_.channels(), o.num_classes)) {
    for_each<Conv2d>(
        [](Conv2d& conv) { conv.set_init("weight", kaiming_normal(conv.weight().shape())); });
    classifier_.set_init("bias", Init::constant(0));
  }
  Tensor forward(const Tensor& x) override {
    return classifier_(drop_(global_avg_pool(features_(x))));
  }

 private:
  Features& features_;
  Dropout& drop_;
  Linear& classifier_;
};

}  // namespace

std::unique_ptr<Module> build_densenet121(const ModelOptions& options) {
  return std::make_unique<DenseNet>(options);
}

}  // namespace convoy::nn
