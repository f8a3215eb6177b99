// SPDX-License-Identifier: MIT
// ResNet for CIFAR (He et al., arXiv:1512.03385, section 4.2) with shortcuts of option A: where a
// stage halves the image and doubles the channels, the shortcut takes every other pixel and pads
// with channels of zeros, half of them on each side. Names as in Y. Idelbayev's weights.
#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/elementwise.h"
#include "runtime/ops/subsample.h"

namespace convoy::nn {
namespace {

class Block : public Module {
 public:
  Block(std::int64_t in_channels, std::int64_t channels, double drop_path)
      : shrinks_(in_channels != channels),
        half_(in_channels / 2),
        conv1_(
            add<Conv2d>("conv1", in_channels, channels, 3,
                        Conv2dSettings{.stride = shrinks_ ? 2 : 1, .padding = 1, .bias = false})),
        bn1_(add<BatchNorm2d>("bn1", channels)),
        conv2_(add<Conv2d>("conv2", channels, channels, 3,
                           Conv2dSettings{.padding = 1, .bias = false})),
        bn2_(add<BatchNorm2d>("bn2", channels)),
        drop_path_(add<DropPath>("drop_path", drop_path)) {}

  Normed operator()(const Normed& x) {
    const Normed shortcut = shrinks_ ? subsample_pad(x.tensor(), 2, half_) : x;
    const Normed y = conv_norm(conv1_, bn1_, x, Act::relu);
    if (!drop_path_.active()) return conv_norm(conv2_, bn2_, y, Act::relu, shortcut);
    const Tensor branch = conv_norm(conv2_, bn2_, y, Act::none).tensor();
    return relu(drop_path_(branch) + shortcut.tensor());
  }
  Tensor forward(const Tensor& x) override { return (*this)(Normed(x)).tensor(); }

 private:
  bool shrinks_;
  std::int64_t half_;  // of the channels that come in
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  DropPath& drop_path_;
};

class ResNetCifar : public Module {
 public:
  ResNetCifar(int blocks, const ModelOptions& o)
      : conv1_(add<Conv2d>("conv1", o.in_channels, 16, 3,
                           Conv2dSettings{.padding = 1, .bias = false})),
        bn1_(add<BatchNorm2d>("bn1", 16)) {
    std::int64_t in_channels = 16, channels = 16;
    for (int stage = 0; stage < 3; ++stage, channels *= 2) {
      auto& layer = add<Sequential>("layer" + std::to_string(stage + 1));
      for (int i = 0; i < blocks; ++i) {
        const double rate = drop_path_rate(o.drop_path, stage * blocks + i, 3 * blocks);
        blocks_.push_back(&layer.push<Block>(in_channels, channels, rate));
        in_channels = channels;
      }
    }
    drop_ = &add<Dropout>("drop", o.drop);
    linear_ = &add<Linear>("linear", 64, o.num_classes);
    for_each<Conv2d>(
        [](Conv2d& conv) { conv.set_init("weight", kaiming_normal(conv.weight().shape())); });
    linear_->set_init("weight", kaiming_normal(linear_->weight().shape()));
  }

  Tensor forward(const Tensor& x) override {
    Normed y = conv_norm(conv1_, bn1_, x, Act::relu);
    for (Block* block : blocks_) y = (*block)(y);
    return (*linear_)((*drop_)(global_avg_pool(y.tensor())));
  }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  std::vector<Block*> blocks_;
  Dropout* drop_ = nullptr;
  Linear* linear_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> build_resnet_cifar(int depth, const ModelOptions& options) {
  require(depth >= 8 && (depth - 2) % 6 == 0, "resnet_cifar: depth expects 6 n + 2, found {}",
          depth);
  return std::make_unique<ResNetCifar>((depth - 2) / 6, options);
}

}  // namespace convoy::nn
