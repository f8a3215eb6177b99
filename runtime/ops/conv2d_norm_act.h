// SPDX-License-Identifier: MIT
#pragma once
// A convolution with the batch norm behind it, a shortcut and a ReLU, for training:
//
//   z = relu(norm(conv2d(x, weight)) + shortcut)
//
//   Normed y = conv2d_norm_act(x, w1, options, norm1, true);     // x: a Tensor or a Normed
//   y = conv2d_norm_act(y, w2, options, norm2, true, x);
//   Tensor z = y.tensor();
//
// On a GPU the convolution stores its raw output and takes the statistics on the way; norm,
// shortcut and ReLU are left to whoever reads it (Normed). The next such convolution norms as it
// loads, and its gradient masks and sums as it stores (kernels/prologue.h), so that between two
// convolutions there is no pass over memory. Kept for the backward pass: the raw outputs, and z
// where a shortcut joined. On cpu, and for grouped convolutions, it is conv2d and batch_norm_act
// one after the other.

#include <memory>

#include "kernels/conv2d_geometry.h"
#include "runtime/tensor.h"

namespace convoy {

// A batch norm in training: its parameters and running estimates, [K] each, which may be undefined
// (the running ones together). The running estimates move in place.
struct NormOperands {
  Tensor scale, bias, running_mean, running_var;
  double momentum = 0.1;
  double eps = 1e-5;
};

class Normed {
 public:
  Normed() = default;
  Normed(const Tensor& z) : z_(z) {}  // NOLINT: nothing is left to be done
  bool defined() const { return pending_ != nullptr || z_.defined(); }
  // z, applied by a pass of its own unless somebody has needed it before.
  Tensor tensor() const;

  struct Pending;

 private:
  friend Normed conv2d_norm_act(const Normed&, const Tensor&, const Conv2dOptions&,
                                const NormOperands&, bool, const Normed&);
  explicit Normed(std::shared_ptr<Pending> pending) : pending_(std::move(pending)) {}
  Tensor z_;
  std::shared_ptr<Pending> pending_;
};

// x [N, H, W, C], weight [K, R, S, C / groups], shortcut [N, P, Q, K] or undefined. Throws Error
// for operands that do not fit, and for a single pixel per channel.
Normed conv2d_norm_act(const Normed& x, const Tensor& weight, const Conv2dOptions& options,
                       const NormOperands& norm, bool relu, const Normed& shortcut = {});

}  // namespace convoy
