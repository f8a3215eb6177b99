// SPDX-License-Identifier: MIT
#pragma once
// Modules one after the other, named "0", "1", … as in PyTorch.
//
//   Sequential net;
//   net.push<Linear>(784, 100);
//   net.push<ReLU>();

#include "nn/module.h"

namespace convoy::nn {

class Sequential : public Module {
 public:
  template <class M, class... Args>
  M& push(Args&&... args) {
    return add<M>(std::to_string(children().size()), std::forward<Args>(args)...);
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (const auto& [name, child] : children()) y = (*child)(y);
    return y;
  }
  std::size_t size() const { return children().size(); }
  Module& operator[](std::size_t i) const { return *children().at(i).second; }
};

}  // namespace convoy::nn
