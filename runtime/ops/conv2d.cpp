// SPDX-License-Identifier: MIT
#include "runtime/ops/conv2d.h"

#include "kernels/conv2d.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

void check_operands(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  require(weight.dtype() == x.dtype(), "conv2d: weight expects x's dtype {}, found {}", x.dtype(),
          weight.dtype());
  if (!bias.defined()) return;
  require(bias.shape() == Shape{weight.shape()[0]},
          "conv2d: bias expects shape [{}] for weight {}, found {}", weight.shape()[0],
          weight.shape(), bias.shape());
  require(bias.dtype() == x.dtype(), "conv2d: bias expects x's dtype {}, found {}", x.dtype(),
          bias.dtype());
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dOptions& options) {
  const Conv2dGeometry g = conv2d_geometry(x.shape(), weight.shape(), options);
  check_operands(x, weight, bias);
  const Tensor xc = x.contiguous(), wc = weight.contiguous();
  const Tensor bc = bias.defined() ? bias.contiguous() : bias;
  const Tensor y = empty(g.output_shape(), x.like());
  Conv2dForward forward{g, xc.data(), wc.data(), y.data(), x.dtype()};
  forward.epilogue.bias = bc.defined() ? bc.data() : nullptr;
  run(forward, x.stream());

  return record("conv2d", y, {x, weight, bias},
                [x = save(xc), weight = save(wc), g](const Tensor& dy, Grads& grads) {
                  if (grads.needs(0)) {
                    const GradDestination dx = grads.into(0);
                    run(Conv2dBackwardInput{.g = g,
                                            .dy = dy.data(),
                                            .weight = weight.data(),
                                            .dx = dx.data(),
                                            .accumulate = dx.accumulate,
                                            .dtype = dy.dtype()},
                        dy.stream());
                  }
                  Conv2dBackwardWeight op{.g = g,
                                          .x = x.data(),
                                          .dy = dy.data(),
                                          .dweight = nullptr,
                                          .accumulate = false,
                                          .dbias = nullptr,
                                          .accumulate_bias = false,
                                          .dtype = dy.dtype()};
                  if (grads.needs(1)) {
                    const GradDestination dweight = grads.into(1, grads.kept_in({1}));
                    op.dweight = dweight.data();
                    op.accumulate = dweight.accumulate;
                    op.grad_dtype = dweight.tensor.dtype();
                    run(op, dy.stream());
                    op.dweight = nullptr;
                  }
                  if (grads.needs(2)) {
                    const GradDestination dbias = grads.into(2, grads.kept_in({2}));
                    op.dbias = dbias.data();
                    op.accumulate_bias = dbias.accumulate;
                    op.grad_dtype = dbias.tensor.dtype();
                    run(op, dy.stream());
                  }
                });
}

}  // namespace convoy
