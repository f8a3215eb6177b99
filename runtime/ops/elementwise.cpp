// SPDX-License-Identifier: MIT
#include "runtime/ops/elementwise.h"

#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {

Tensor unary(UnaryFn fn, const Tensor& x, double alpha, double beta) {
  const Tensor xc = x.contiguous();
  const Tensor y = empty(x.shape(), x.like());
  run(Unary{fn, y.count(), xc.data(), y.data(), x.dtype(), alpha, beta}, x.stream());
  if (!must_record(std::initializer_list<Input>{x})) return y;

  Saved saved;  // what the derivative is a function of: the result, the operand or nothing
  if (!gradient_is_constant(fn)) saved = save(gradient_reads_output(fn) ? y : xc);
  return record(name(fn), y, {x}, [fn, saved, alpha, beta](const Tensor& dy, Grads& grads) {
    const GradDestination dx = grads.into(0);
    const void* const from = saved.defined() ? saved.data() : nullptr;
    run(UnaryBackward{fn, dy.count(), from, dy.data(), dx.data(), dy.dtype(), alpha, beta,
                      dx.accumulate},
        dy.stream());
  });
}

}  // namespace convoy
