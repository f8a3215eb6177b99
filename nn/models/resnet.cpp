// SPDX-License-Identifier: MIT
// ResNet (He et al., arXiv:1512.03385), torchvision's names. The bottleneck has its stride in the
// 3x3 convolution, as everybody's has. The last norm of each block starts at zero (Goyal et al.,
// arXiv:1706.02677), as in timm.
#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/binary.h"
#include "runtime/ops/elementwise.h"

namespace convoy::nn {
namespace {

Conv2dSettings plain(std::int64_t stride, std::int64_t padding) {
  return {.stride = stride, .padding = padding, .bias = false};
}

// Two or three convolutions with norms, and a shortcut. `expansion` is 1 or 4.
class Block : public Module {
 public:
  Block(std::int64_t in_channels, std::int64_t planes, std::int64_t expansion, std::int64_t stride,
        double drop_path)
      : bottleneck_(expansion > 1) {
    const std::int64_t out_channels = planes * expansion;
    if (bottleneck_) {
      add_unit(in_channels, planes, 1, 1);
      add_unit(planes, planes, 3, stride);
      add_unit(planes, out_channels, 1, 1);
    } else {
      add_unit(in_channels, planes, 3, stride);
      add_unit(planes, planes, 3, 1);
    }
    units_.back().norm->set_init("weight", Init::constant(0));
    if (stride != 1 || in_channels != out_channels) {
      auto& downsample = add<Sequential>("downsample");
      auto& conv = downsample.push<Conv2d>(in_channels, out_channels, 1, plain(stride, 0));
      downsample_ = {&conv, &downsample.push<BatchNorm2d>(out_channels)};
    }
    drop_path_ = &add<DropPath>("drop_path", drop_path);
  }

  Normed operator()(const Normed& x) {
    const Normed shortcut =
        downsample_.conv ? conv_norm(*downsample_.conv, *downsample_.norm, x, Act::none) : x;
    Normed y = x;
    for (std::size_t i = 0; i + 1 < units_.size(); ++i) {
      y = conv_norm(*units_[i].conv, *units_[i].norm, y, Act::relu);
    }
    const Unit& last = units_.back();
    if (!drop_path_->active()) return conv_norm(*last.conv, *last.norm, y, Act::relu, shortcut);
    const Tensor branch = conv_norm(*last.conv, *last.norm, y, Act::none).tensor();
    return relu((*drop_path_)(branch) + shortcut.tensor());
  }
  Tensor forward(const Tensor& x) override { return (*this)(Normed(x)).tensor(); }

 private:
  struct Unit {
    Conv2d* conv = nullptr;
    BatchNorm2d* norm = nullptr;
  };
  void add_unit(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    const std::string number = std::to_string(units_.size() + 1);
    auto& conv = add<Conv2d>("conv" + number, in, out, kernel, plain(stride, kernel / 2));
    units_.push_back({&conv, &add<BatchNorm2d>("bn" + number, out)});
  }

  bool bottleneck_;
  std::vector<Unit> units_;
  Unit downsample_;
  DropPath* drop_path_ = nullptr;
};

struct Plan {
  std::array<int, 4> blocks;
  std::int64_t expansion;
};

Plan plan_of(int depth) {
  if (depth == 18) return {{2, 2, 2, 2}, 1};
  if (depth == 34) return {{3, 4, 6, 3}, 1};
  require(depth == 50, "resnet: depth expects 18, 34 or 50, found {}", depth);
  return {{3, 4, 6, 3}, 4};
}

std::int64_t width_of(const ModelOptions& o) { return o.base_width > 0 ? o.base_width : 64; }

class ResNet : public Module {
 public:
  ResNet(const Plan& plan, const ModelOptions& o)
      : conv1_(add<Conv2d>("conv1", o.in_channels, width_of(o), 7, plain(2, 3))),
        bn1_(add<BatchNorm2d>("bn1", width_of(o))) {
    const int count = plan.blocks[0] + plan.blocks[1] + plan.blocks[2] + plan.blocks[3];
    std::int64_t channels = width_of(o), planes = channels;
    int block = 0;
    for (std::size_t stage = 0; stage < 4; ++stage, planes *= 2) {
      auto& layer = add<Sequential>("layer" + std::to_string(stage + 1));
      for (int i = 0; i < plan.blocks[stage]; ++i, ++block) {
        const double rate = drop_path_rate(o.drop_path, block, count);
        const int stride = stage > 0 && i == 0 ? 2 : 1;
        blocks_.push_back(&layer.push<Block>(channels, planes, plan.expansion, stride, rate));
        channels = planes * plan.expansion;
      }
    }
    drop_ = &add<Dropout>("drop", o.drop);
    fc_ = &add<Linear>("fc", channels, o.num_classes);
    for_each<Conv2d>([](Conv2d& conv) {
      conv.set_init("weight", kaiming_normal(conv.weight().shape(), kReluGain, FanMode::fan_out));
    });
  }

  Tensor forward(const Tensor& x) override {
    Normed y = max_pool2d(conv_norm(conv1_, bn1_, x, Act::relu).tensor(),
                          {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    for (Block* block : blocks_) y = (*block)(y);
    return (*fc_)((*drop_)(global_avg_pool(y.tensor())));
  }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  std::vector<Block*> blocks_;
  Dropout* drop_ = nullptr;
  Linear* fc_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> build_resnet(int depth, const ModelOptions& options) {
  return std::make_unique<ResNet>(plan_of(depth), options);
}

}  // namespace convoy::nn
