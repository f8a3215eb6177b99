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
      downsample.push<Conv2d>(in_channels, out_channels, 1, plain(stride, 0));
      downsample.push<BatchNorm2d>(out_channels);
      downsample_ = &downsample;
    }
    drop_path_ = &add<DropPath>("drop_path", drop_path);
  }

  Tensor forward(const Tensor& x) override {
    const Tensor shortcut = downsample_ ? (*downsample_)(x) : x;
    Tensor y = x;
    for (std::size_t i = 0; i + 1 < units_.size(); ++i) {
      y = units_[i].norm->forward_relu((*units_[i].conv)(y));
    }
    const Unit& last = units_.back();
    y = (*last.conv)(y);
    if (!drop_path_->active()) return last.norm->forward_relu(std::move(y), shortcut);
    return relu((*drop_path_)((*last.norm)(y)) + shortcut);
  }

 private:
  struct Unit {
    Conv2d* conv;
    BatchNorm2d* norm;
  };
  void add_unit(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    const std::string number = std::to_string(units_.size() + 1);
    auto& conv = add<Conv2d>("conv" + number, in, out, kernel, plain(stride, kernel / 2));
    units_.push_back({&conv, &add<BatchNorm2d>("bn" + number, out)});
  }

  bool bottleneck_;
  std::vector<Unit> units_;
  Module* downsample_ = nullptr;
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

class ResNet : public Module {
 public:
  ResNet(const Plan& plan, const ModelOptions& o)
      : conv1_(add<Conv2d>("conv1", o.in_channels, 64, 7, plain(2, 3))),
        bn1_(add<BatchNorm2d>("bn1", 64)) {
    const int count = plan.blocks[0] + plan.blocks[1] + plan.blocks[2] + plan.blocks[3];
    std::int64_t channels = 64, planes = 64;
    int block = 0;
    for (std::size_t stage = 0; stage < 4; ++stage, planes *= 2) {
      layers_[stage] = &add<Sequential>("layer" + std::to_string(stage + 1));
      for (int i = 0; i < plan.blocks[stage]; ++i, ++block) {
        layers_[stage]->push<Block>(channels, planes, plan.expansion, stage > 0 && i == 0 ? 2 : 1,
                                    drop_path_rate(o.drop_path, block, count));
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
    Tensor y = bn1_.forward_relu(conv1_(x));
    y = max_pool2d(y, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    for (Sequential* layer : layers_) y = (*layer)(y);
    return (*fc_)((*drop_)(global_avg_pool(y)));
  }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  std::array<Sequential*, 4> layers_{};
  Dropout* drop_ = nullptr;
  Linear* fc_ = nullptr;
};

}  // namespace

std::unique_ptr<Module> build_resnet(int depth, const ModelOptions& options) {
  return std::make_unique<ResNet>(plan_of(depth), options);
}

}  // namespace convoy::nn
