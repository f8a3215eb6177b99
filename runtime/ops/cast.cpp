// SPDX-License-Identifier: MIT
#include "runtime/ops/cast.h"

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {

Tensor cast(const Tensor& x, DType dtype) {
  const Tensor xc = x.contiguous();
  const Tensor y = empty(x.shape(), {dtype, x.device()});
  run(Cast{x.count(), xc.data(), x.dtype(), y.data(), dtype}, x.stream());
  if (!is_floating(dtype)) return y;
  return record("cast", y, {x}, [from = x.dtype()](const Tensor& dy, Grads& grads) {
    grads.pass(0, cast(dy, from));
  });
}

}  // namespace convoy
