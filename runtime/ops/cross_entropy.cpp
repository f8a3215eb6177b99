// SPDX-License-Identifier: MIT
#include "runtime/ops/cross_entropy.h"

#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

struct Rows {
  std::int64_t rows, classes;
  Shape shape;  // without the classes
};

Rows rows_of(const char* op, const Tensor& logits) {
  require(logits.rank() >= 1 && logits.shape().back() > 0,
          "{}: logits expect shape [..., K] with K above 0, found {}", op, logits.shape());
  Rows r{logits.count() / logits.shape().back(), logits.shape().back(), {}};
  for (int i = 0; i + 1 < logits.rank(); ++i) r.shape.push_back(logits.shape()[i]);
  return r;
}

void require_index(const char* op, const Tensor& target, const Tensor& logits, const Rows& r) {
  require(target.shape() == r.shape,
          "{}: class indices expect shape {} for logits of shape {}, found {}", op, r.shape,
          logits.shape(), target.shape());
}

void check_operands(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& o,
                    const Rows& r) {
  if (is_class_index(target.dtype())) {
    require_index("cross_entropy", target, logits, r);
  } else {
    require(target.dtype() == logits.dtype() && target.shape() == logits.shape(),
            "cross_entropy: target expects class indices (i32, i64) or {} of shape {}, found {} of "
            "shape {}",
            logits.dtype(), logits.shape(), target.dtype(), target.shape());
  }
  require(!target.requires_grad(),
          "cross_entropy: target expects a tensor without gradient, found one that requires it; "
          "use log_softmax, mul and sum");
  require(o.label_smoothing >= 0 && o.label_smoothing <= 1,
          "cross_entropy: label_smoothing expects 0 to 1, found {}", o.label_smoothing);
  if (!o.class_weight.defined()) return;
  require(o.class_weight.shape() == Shape{r.classes} && o.class_weight.dtype() == logits.dtype(),
          "cross_entropy: class_weight expects {} of shape [{}], found {} of shape {}",
          logits.dtype(), r.classes, o.class_weight.dtype(), o.class_weight.shape());
}

// The kernel's view of the target; class_weight may be null.
CrossEntropyTarget with_pointers(CrossEntropyTarget rule, const void* target, const void* weight) {
  rule.target = target;
  rule.class_weight = weight;
  return rule;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options) {
  const Rows r = rows_of("cross_entropy", logits);
  check_operands(logits, target, options, r);
  const Tensor z = logits.contiguous(), t = target.contiguous();
  const Tensor w = options.class_weight.defined() ? options.class_weight.contiguous() : Tensor();
  const bool reduced = options.reduction != Reduction::none;
  const TensorOptions statistics{statistics_dtype(z.dtype()), z.device()};
  const Tensor row_loss = empty(r.shape, statistics), lse = empty(r.shape, statistics);
  const Tensor loss = reduced ? empty({}, statistics) : row_loss;
  const Tensor divisor = reduced ? empty({}, statistics) : Tensor();
  const CrossEntropyTarget rule{.dtype = t.dtype(),
                                .label_smoothing = options.label_smoothing,
                                .ignore_index = options.ignore_index};
  run(CrossEntropyForward{.rows = r.rows,
                          .classes = r.classes,
                          .logits = z.data(),
                          .target = with_pointers(rule, t.data(), w.defined() ? w.data() : nullptr),
                          .reduction = options.reduction,
                          .row_loss = row_loss.data(),
                          .lse = lse.data(),
                          .loss = reduced ? loss.data() : nullptr,
                          .divisor = reduced ? divisor.data() : nullptr,
                          .dtype = z.dtype()},
      z.stream());

  return record("cross_entropy", loss, {logits},
                [z = save(z), t = save(t), w = save(w), lse = save(lse), divisor = save(divisor),
                 rule, rows = r.rows, classes = r.classes,
                 reduction = options.reduction](const Tensor& dy, Grads& grads) {
                  const GradDestination dz = grads.into(0);
                  run(CrossEntropyBackward{.rows = rows,
                                           .classes = classes,
                                           .logits = z.data(),
                                           .target = with_pointers(
                                               rule, t.data(), w.defined() ? w.data() : nullptr),
                                           .reduction = reduction,
                                           .lse = lse.data(),
                                           .divisor = divisor.defined() ? divisor.data() : nullptr,
                                           .dloss = dy.data(),
                                           .dlogits = dz.data(),
                                           .accumulate = dz.accumulate,
                                           .dtype = z.dtype()},
                      dy.stream());
                });
}

Tensor top_k_correct(const Tensor& logits, const Tensor& target, std::int64_t ignore_index) {
  const Rows r = rows_of("top_k_correct", logits);
  require_index("top_k_correct", target, logits, r);
  const Tensor correct = empty({3}, {DType::i64, logits.device()});
  run(TopKCount{.rows = r.rows,
                .classes = r.classes,
                .logits = logits.contiguous().data(),
                .target = target.contiguous().data(),
                .target_dtype = target.dtype(),
                .ignore_index = ignore_index,
                .correct = correct.as<std::int64_t>(),
                .dtype = logits.dtype()},
      logits.stream());
  return correct;
}

}  // namespace convoy
