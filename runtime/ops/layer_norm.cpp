// SPDX-License-Identifier: MIT
#include "runtime/ops/layer_norm.h"

#include "kernels/layer_norm.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

void require_channels(const char* what, const Tensor& t, const Tensor& x) {
  if (!t.defined()) return;
  require(t.shape() == Shape{x.shape().back()} && t.dtype() == x.dtype(),
          "layer_norm: {} expects {} of shape [{}] for x of shape {}, found {} of shape {}", what,
          x.dtype(), x.shape().back(), x.shape(), t.dtype(), t.shape());
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& scale, const Tensor& bias, double eps) {
  require(x.rank() >= 1 && x.shape().back() > 0,
          "layer_norm: x expects a last dimension above 0, found shape {}", x.shape());
  require_channels("scale", scale, x);
  require_channels("bias", bias, x);
  const std::int64_t channels = x.shape().back(), rows = x.count() / channels;
  const Tensor xc = x.contiguous(), y = empty(x.shape(), x.like());
  const Tensor sc = scale.defined() ? scale.contiguous() : scale;
  const Tensor bc = bias.defined() ? bias.contiguous() : bias;
  const TensorOptions statistics{statistics_dtype(x.dtype()), x.device()};
  const Tensor mean = empty({rows}, statistics), rstd = empty({rows}, statistics);
  run(LayerNormForward{.rows = rows,
                       .channels = channels,
                       .x = xc.data(),
                       .scale = sc.defined() ? sc.data() : nullptr,
                       .bias = bc.defined() ? bc.data() : nullptr,
                       .mean = mean.data(),
                       .rstd = rstd.data(),
                       .y = y.data(),
                       .eps = eps,
                       .dtype = x.dtype()},
      x.stream());

  return record("layer_norm", y, {x, scale, bias},
                [x = save(xc), scale = save(sc), mean = save(mean), rstd = save(rstd), rows,
                 channels](const Tensor& dy, Grads& grads) {
                  LayerNormBackward op{.rows = rows,
                                       .channels = channels,
                                       .x = x.data(),
                                       .dy = dy.data(),
                                       .scale = scale.defined() ? scale.data() : nullptr,
                                       .mean = mean.data(),
                                       .rstd = rstd.data(),
                                       .dtype = dy.dtype()};
                  op.grad_dtype = grads.kept_in({1, 2});
                  const auto into = [&grads](int i, void*& data, bool& accumulate,
                                             std::optional<DType> dtype = {}) {
                    if (!grads.needs(i)) return;
                    const GradDestination to = grads.into(i, dtype);
                    data = to.data(), accumulate = to.accumulate;
                  };
                  into(0, op.dx, op.accumulate);
                  into(1, op.d_scale, op.accumulate_scale, op.grad_dtype);
                  into(2, op.d_bias, op.accumulate_bias, op.grad_dtype);
                  run(op, dy.stream());
                });
}

}  // namespace convoy
