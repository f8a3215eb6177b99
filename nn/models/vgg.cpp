// SPDX-License-Identifier: MIT
// VGG with batch normalisation (Simonyan and Zisserman, arXiv:1409.1556), torchvision's names: the
// numbers in "features.7.weight" count convolutions, norms, ReLUs and pools alike.
#include "nn/layers.h"
#include "nn/models/builders.h"

namespace convoy::nn {
namespace {

constexpr int kPool = 0;

// Channels of the convolutions, kPool between them.
std::vector<int> plan_of(int depth) {
  if (depth == 11)
    return {64, kPool, 128, kPool, 256, 256, kPool, 512, 512, kPool, 512, 512, kPool};
  require(depth == 16, "vgg: depth expects 11 or 16, found {}", depth);
  return {64,    64,  kPool, 128, 128,   kPool, 256, 256, 256,
          kPool, 512, 512,   512, kPool, 512,   512, 512, kPool};
}

class Features : public Module {
 public:
  Features(const std::vector<int>& plan, std::int64_t in_channels) {
    int index = 0;
    for (const int channels : plan) {
      steps_.emplace_back();
      if (channels == kPool) {
        ++index;
        continue;
      }
      auto& [conv, norm] = steps_.back();
      conv = &add<Conv2d>(std::to_string(index), in_channels, channels, 3,
                          Conv2dSettings{.padding = 1});
      conv->set_init("weight", kaiming_normal(conv->weight().shape(), kReluGain, FanMode::fan_out));
      conv->set_init("bias", Init::constant(0));
      norm = &add<BatchNorm2d>(std::to_string(index + 1), channels);
      index += 3;  // and a ReLU
      in_channels = channels;
    }
  }

  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& [conv, norm] : steps_) {
      y = conv ? norm->forward_relu((*conv)(y)) : max_pool2d(y, {.kernel_size = {2, 2}});
    }
    return y;
  }

 private:
  std::vector<std::pair<Conv2d*, BatchNorm2d*>> steps_;  // both null: a pool
};

class Vgg : public Module {
 public:
  Vgg(int depth, const ModelOptions& o)
      : features_(add<Features>("features", plan_of(depth), o.in_channels)),
        classifier_(add<Sequential>("classifier")) {
    classifier_.push<Linear>(512 * 7 * 7, 4096);
    classifier_.push<ReLU>();
    classifier_.push<Dropout>(o.drop);
    classifier_.push<Linear>(4096, 4096);
    classifier_.push<ReLU>();
    classifier_.push<Dropout>(o.drop);
    classifier_.push<Linear>(4096, o.num_classes);
    for_each<Linear>([](Linear& linear) {
      linear.set_init("weight", Init::normal(0, 0.01));
      linear.set_init("bias", Init::constant(0));
    });
  }

  Tensor forward(const Tensor& x) override {
    return classifier_(flatten_nchw(adaptive_avg_pool2d(features_(x), {7, 7})));
  }

 private:
  Features& features_;
  Sequential& classifier_;
};

}  // namespace

std::unique_ptr<Module> build_vgg_bn(int depth, const ModelOptions& options) {
  return std::make_unique<Vgg>(depth, options);
}

}  // namespace convoy::nn
