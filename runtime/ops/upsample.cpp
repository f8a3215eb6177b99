// SPDX-License-Identifier: MIT
#include "runtime/ops/upsample.h"

#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {

Tensor upsample(const Tensor& x, const UpsampleOptions& options) {
  const UpsampleGeometry g = upsample_geometry(x.shape(), options);
  const Tensor y = empty(g.output_shape(), x.like());
  run(UpsampleForward{g, x.contiguous().data(), y.data(), x.dtype()}, x.stream());
  return record("upsample", y, {x}, [g](const Tensor& dy, Grads& grads) {
    const GradDestination dx = grads.into(0);
    run(UpsampleBackward{g, dy.data(), dx.data(), dx.accumulate, dy.dtype()}, dy.stream());
  });
}

}  // namespace convoy
