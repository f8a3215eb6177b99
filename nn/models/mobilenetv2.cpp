// SPDX-License-Identifier: MIT
// MobileNetV2 (Sandler et al., arXiv:1801.04381), timm's names.
#include <cmath>

#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/elementwise.h"

namespace convoy::nn {
namespace {

Conv2dSettings pointwise() { return {.bias = false}; }
Conv2dSettings depthwise(std::int64_t channels, std::int64_t stride) {
  return {.stride = stride, .padding = 1, .groups = channels, .bias = false};
}

// The first block: depthwise, then down to fewer channels.
class DepthwiseSeparable : public Module {
 public:
  DepthwiseSeparable(std::int64_t in_channels, std::int64_t out_channels)
      : conv_dw_(add<Conv2d>("conv_dw", in_channels, in_channels, 3, depthwise(in_channels, 1))),
        bn1_(add<BatchNorm2d>("bn1", in_channels)),
        conv_pw_(add<Conv2d>("conv_pw", in_channels, out_channels, 1, pointwise())),
        bn2_(add<BatchNorm2d>("bn2", out_channels)) {}
  Tensor forward(const Tensor& x) override { return bn2_(conv_pw_(relu6(bn1_(conv_dw_(x))))); }

 private:
  Conv2d& conv_dw_;
  BatchNorm2d& bn1_;
  Conv2d& conv_pw_;
  BatchNorm2d& bn2_;
};

// Up to `expand` times the channels, depthwise, and down again without an activation.
class InvertedResidual : public Module {
 public:
  InvertedResidual(std::int64_t in_channels, std::int64_t out_channels, std::int64_t expand,
                   std::int64_t stride, double drop_path)
      : residual_(stride == 1 && in_channels == out_channels),
        conv_pw_(add<Conv2d>("conv_pw", in_channels, in_channels * expand, 1, pointwise())),
        bn1_(add<BatchNorm2d>("bn1", in_channels * expand)),
        conv_dw_(add<Conv2d>("conv_dw", in_channels * expand, in_channels * expand, 3,
                             depthwise(in_channels * expand, stride))),
        bn2_(add<BatchNorm2d>("bn2", in_channels * expand)),
        conv_pwl_(add<Conv2d>("conv_pwl", in_channels * expand, out_channels, 1, pointwise())),
        bn3_(add<BatchNorm2d>("bn3", out_channels)),
        drop_path_(add<DropPath>("drop_path", drop_path)) {}

  Tensor forward(const Tensor& x) override {
    Tensor y = relu6(bn1_(conv_pw_(x)));
    y = relu6(bn2_(conv_dw_(y)));
    y = conv_pwl_(y);
    if (!residual_) return bn3_(y);
    return drop_path_.active() ? drop_path_(bn3_(y)) + x : bn3_.forward_add(std::move(y), x);
  }

 private:
  bool residual_;
  Conv2d& conv_pw_;
  BatchNorm2d& bn1_;
  Conv2d& conv_dw_;
  BatchNorm2d& bn2_;
  Conv2d& conv_pwl_;
  BatchNorm2d& bn3_;
  DropPath& drop_path_;
};

struct Stage {
  int blocks;
  std::int64_t stride, channels;
};
constexpr std::array<Stage, 6> kStages{
    {{2, 2, 24}, {3, 2, 32}, {4, 2, 64}, {3, 1, 96}, {3, 2, 160}, {1, 1, 320}}};

class MobileNetV2 : public Module {
 public:
  explicit MobileNetV2(const ModelOptions& o)
      : conv_stem_(add<Conv2d>("conv_stem", o.in_channels, 32, 3,
                               Conv2dSettings{.stride = 2, .padding = 1, .bias = false})),
        bn1_(add<BatchNorm2d>("bn1", 32)),
        blocks_(add<Sequential>("blocks")) {
    constexpr int kBlocks = 17;
    blocks_.push<Sequential>().push<DepthwiseSeparable>(32, 16);
    std::int64_t channels = 16;
    int block = 1;
    for (const Stage& stage : kStages) {
      auto& sequence = blocks_.push<Sequential>();
      for (int i = 0; i < stage.blocks; ++i, ++block) {
        sequence.push<InvertedResidual>(channels, stage.channels, 6, i == 0 ? stage.stride : 1,
                                        drop_path_rate(o.drop_path, block, kBlocks));
        channels = stage.channels;
      }
    }
    conv_head_ = &add<Conv2d>("conv_head", channels, 1280, 1, pointwise());
    bn2_ = &add<BatchNorm2d>("bn2", 1280);
    drop_ = &add<Dropout>("drop", o.drop);
    classifier_ = &add<Linear>("classifier", 1280, o.num_classes);
    init(o);
  }

  Tensor forward(const Tensor& x) override {
    Tensor y = blocks_(relu6(bn1_(conv_stem_(x))));
    y = relu6((*bn2_)((*conv_head_)(y)));
    return (*classifier_)((*drop_)(global_avg_pool(y)));
  }

 private:
  // As TensorFlow's: timm's weight_init "goog".
  void init(const ModelOptions& o) {
    for_each<Conv2d>([](Conv2d& conv) {
      const double fan = fan_of(conv.weight().shape()).out;
      const auto groups = static_cast<double>(conv.settings().groups);
      conv.set_init("weight", Init::normal(0, std::sqrt(2 * groups / fan)));
    });
    const double range = 1 / std::sqrt(o.num_classes);
    classifier_->set_init("weight", Init::uniform(-range, range));
    classifier_->set_init("bias", Init::constant(0));
  }

  Conv2d& conv_stem_;
  BatchNorm2d& bn1_;
  Sequential& blocks_;
  Conv2d* conv_head_ = nullptr;
  BatchNorm2d* bn2_ = nullptr;
  Dropout* drop_ = nullptr;
  Linear* classifier_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> build_mobilenetv2_100(const ModelOptions& options) {
  return std::make_unique<MobileNetV2>(options);
}

}  // namespace convoy::nn
