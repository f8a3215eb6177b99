// SPDX-License-Identifier: MIT
// LeNet-5 (LeCun et al., 1998) as it is trained today: ReLU and max pooling, 61,706 parameters on
// 28 x 28 grey images.
#include "nn/layers.h"
#include "nn/models/builders.h"
#include "runtime/ops/view.h"

namespace convoy::nn {
namespace {

class LeNet5 : public Module {
 public:
  explicit LeNet5(const ModelOptions& o)
      : conv1_(add<Conv2d>("conv1", o.in_channels, 6, 5, Conv2dSettings{.padding = 2})),
        conv2_(add<Conv2d>("conv2", 6, 16, 5)),
        fc1_(add<Linear>("fc1", 16 * 5 * 5, 120)),
        fc2_(add<Linear>("fc2", 120, 84)),
        drop_(add<Dropout>("drop", o.drop)),
        fc3_(add<Linear>("fc3", 84, o.num_classes)) {}

  Tensor forward(const Tensor& x) override {
    require(x.rank() == 4 && x.size(1) == 28 && x.size(2) == 28,
            "lenet5: x expects images of 28 x 28, [N, 28, 28, C], found shape {}", x.shape());
    Tensor y = max_pool2d(relu(conv1_(x)), kPool);
    y = max_pool2d(relu(conv2_(y)), kPool);
    y = relu(fc1_(flatten_nchw(y)));
    return fc3_(drop_(relu(fc2_(y))));
  }

 private:
  static constexpr Pool2dOptions kPool{.kernel_size = {2, 2}};
  Conv2d &conv1_, &conv2_;
  Linear &fc1_, &fc2_;
  Dropout& drop_;
  Linear& fc3_;
};

}  // namespace

std::unique_ptr<Module> build_lenet5(const ModelOptions& options) {
  return std::make_unique<LeNet5>(options);
}

}  // namespace convoy::nn
