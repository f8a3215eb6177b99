// SPDX-License-Identifier: MIT
// ConvNeXt (Liu et al., arXiv:2201.03545), timm's names. NHWC is its home: the norms and the two
// linear layers of a block work on the last dimension as it lies.
#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/elementwise.h"

namespace convoy::nn {
namespace {

constexpr double kEps = 1e-6;
constexpr std::array<int, 4> kDepths{3, 3, 9, 3};
constexpr std::array<std::int64_t, 4> kChannels{96, 192, 384, 768};

class Mlp : public Module {
 public:
  explicit Mlp(std::int64_t channels)
      : fc1_(add<Linear>("fc1", channels, 4 * channels)),
        fc2_(add<Linear>("fc2", 4 * channels, channels)) {}
  Tensor forward(const Tensor& x) override { return fc2_(gelu(fc1_(x))); }

 private:
  Linear &fc1_, &fc2_;
};

class Block : public Module {
 public:
  Block(std::int64_t channels, double drop_path)
      : gamma_(add_parameter("gamma", {channels}, Init::constant(1e-6))),
        conv_dw_(add<Conv2d>("conv_dw", channels, channels, 7,
                             Conv2dSettings{.padding = 3, .groups = channels})),
        norm_(add<LayerNorm>("norm", channels, kEps)),
        mlp_(add<Mlp>("mlp", channels)),
        drop_path_(add<DropPath>("drop_path", drop_path)) {}
  Tensor forward(const Tensor& x) override {
    return x + drop_path_(mlp_(norm_(conv_dw_(x))) * gamma_);
  }

 private:
  Tensor gamma_;
  Conv2d& conv_dw_;
  LayerNorm& norm_;
  Mlp& mlp_;
  DropPath& drop_path_;
};

class Stage : public Module {
 public:
  Stage(std::size_t index, double drop_path) {
    const std::int64_t channels = kChannels[index];
    if (index > 0) {
      downsample_ = &add<Sequential>("downsample");
      downsample_->push<LayerNorm>(kChannels[index - 1], kEps);
      downsample_->push<Conv2d>(kChannels[index - 1], channels, 2, Conv2dSettings{.stride = 2});
    }
    blocks_ = &add<Sequential>("blocks");
    int before = 0, all = 0;
    for (std::size_t i = 0; i < kDepths.size(); ++i) {
      before += i < index ? kDepths[i] : 0;
      all += kDepths[i];
    }
    for (int i = 0; i < kDepths[index]; ++i) {
      blocks_->push<Block>(channels, drop_path_rate(drop_path, before + i, all));
    }
  }
  Tensor forward(const Tensor& x) override {
    return (*blocks_)(downsample_ ? (*downsample_)(x) : x);
  }

 private:
  Sequential* downsample_ = nullptr;
  Sequential* blocks_ = nullptr;
};

class Head : public Module {
 public:
  Head(std::int64_t channels, const ModelOptions& o)
      : norm_(add<LayerNorm>("norm", channels, kEps)),
        drop_(add<Dropout>("drop", o.drop)),
        fc_(add<Linear>("fc", channels, o.num_classes)) {}
  Tensor forward(const Tensor& x) override { return fc_(drop_(norm_(global_avg_pool(x)))); }

 private:
  LayerNorm& norm_;
  Dropout& drop_;
  Linear& fc_;
};

class ConvNeXt : public Module {
 public:
  explicit ConvNeXt(const ModelOptions& o) : stem_(add<Sequential>("stem")) {
    stem_.push<Conv2d>(o.in_channels, kChannels[0], 4, Conv2dSettings{.stride = 4});
    stem_.push<LayerNorm>(kChannels[0], kEps);
    stages_ = &add<Sequential>("stages");
    for (std::size_t i = 0; i < kDepths.size(); ++i) stages_->push<Stage>(i, o.drop_path);
    head_ = &add<Head>("head", kChannels.back(), o);
    for_each<Conv2d>([](Conv2d& conv) { start_small(conv); });
    for_each<Linear>([](Linear& linear) { start_small(linear); });
  }
  Tensor forward(const Tensor& x) override { return (*head_)((*stages_)(stem_(x))); }

 private:
  static void start_small(Module& layer) {
    layer.set_init("weight", Init::trunc_normal(0, 0.02));
    layer.set_init("bias", Init::constant(0));
  }

  Sequential& stem_;
  Sequential* stages_ = nullptr;
  Head* head_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> build_convnext_tiny(const ModelOptions& options) {
  return std::make_unique<ConvNeXt>(options);
}

}  // namespace convoy::nn
