// SPDX-License-Identifier: MIT
#include "kernels/cross_entropy.h"

#include <limits>

#include "kernels/cpu/log_sum_exp.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {
namespace {

// Class of a row, from i32 or i64.
struct ClassIndex {
  const void* values;
  DType dtype;
  std::int64_t operator[](std::int64_t r) const {
    if (dtype == DType::i32) return static_cast<const std::int32_t*>(values)[r];
    return static_cast<const std::int64_t*>(values)[r];
  }
};

// Before any thread starts: an exception cannot leave a parallel loop.
void require_classes(const char* op, const ClassIndex& target, std::int64_t rows,
                     std::int64_t classes, std::int64_t ignore_index) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t y = target[r];
    require(y == ignore_index || (y >= 0 && y < classes),
            "{}: target expects a class in [0, {}) or ignore_index {}, found {} in row {}", op,
            classes, ignore_index, y, r);
  }
}

// The weights t_k of one row's terms.
template <class T>
class Targets {
 public:
  Targets(const CrossEntropyTarget& t, std::int64_t classes)
      : t_(t),
        classes_(classes),
        index_{t.target, t.dtype},
        soft_(is_class_index(t.dtype) ? nullptr : static_cast<const T*>(t.target)),
        weight_(static_cast<const T*>(t.class_weight)),
        smooth_(t.label_smoothing / static_cast<double>(std::max<std::int64_t>(classes, 1))) {}

  bool ignored(std::int64_t r) const { return soft_ == nullptr && index_[r] == t_.ignore_index; }

  // f(k, t_k) for every class whose t_k may differ from 0.
  template <class F>
  void for_each(std::int64_t r, F&& f) const {
    const double keep = 1 - t_.label_smoothing;
    if (soft_ != nullptr) {
      const T* q = soft_ + r * classes_;
      for (std::int64_t k = 0; k < classes_; ++k) {
        f(k, weight(k) * (keep * static_cast<double>(q[k]) + smooth_));
      }
      return;
    }
    const std::int64_t y = index_[r];
    if (smooth_ == 0) return f(y, weight(y));
    for (std::int64_t k = 0; k < classes_; ++k) {
      f(k, (k == y ? keep * weight(k) : 0) + smooth_ * weight(k));
    }
  }
  // What the row adds to the divisor of the mean.
  double share(std::int64_t r) const {
    if (soft_ != nullptr) return 1;
    return ignored(r) ? 0 : weight(index_[r]);
  }

 private:
  double weight(std::int64_t k) const {
    return weight_ == nullptr ? 1 : static_cast<double>(weight_[k]);
  }

  const CrossEntropyTarget& t_;
  std::int64_t classes_;
  ClassIndex index_;
  const T* soft_;
  const T* weight_;
  double smooth_;
};

template <class T>
void row_losses(const CrossEntropyForward& op, const Targets<T>& targets) {
  parallel_for(op.rows, rows_per_thread(op.classes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* z = static_cast<const T*>(op.logits) + r * op.classes;
      double loss = 0;
      LogSumExp<T> l{};
      if (!targets.ignored(r)) {
        l = log_sum_exp(z, op.classes);
        targets.for_each(r, [&](std::int64_t k, double t) {
          // 0 * inf: a class that may not occur and does not occur costs nothing.
          if (t != 0) loss += t * static_cast<double>(l.log_sum - (z[k] - l.max));
        });
      }
      static_cast<T*>(op.lse)[r] = l.max + l.log_sum;
      static_cast<T*>(op.row_loss)[r] = static_cast<T>(loss);
    }
  });
}

template <class T>
void reduce(const CrossEntropyForward& op, const Targets<T>& targets) {
  double sum = 0, divisor = 0;
  for (std::int64_t r = 0; r < op.rows; ++r) {
    sum += static_cast<double>(static_cast<const T*>(op.row_loss)[r]);
    divisor += targets.share(r);
  }
  if (op.reduction == Reduction::sum) divisor = 1;
  *static_cast<T*>(op.loss) = static_cast<T>(sum / divisor);
  *static_cast<T*>(op.divisor) = static_cast<T>(divisor);
}

// d loss / d z_k = (sum_j t_j) * softmax_k - t_k
template <class T>
void row_gradient(const Targets<T>& targets, std::int64_t r, const T* z, std::int64_t classes,
                  double lse, double scale, T* dz) {
  double total = 0;
  targets.for_each(r, [&](std::int64_t, double t) { total += t; });
  const T gain = static_cast<T>(total * scale), shift = static_cast<T>(lse);
#pragma omp simd
  for (std::int64_t k = 0; k < classes; ++k) dz[k] += gain * exp_of(z[k] - shift);
  targets.for_each(r, [&](std::int64_t k, double t) { dz[k] -= static_cast<T>(t * scale); });
}

template <class T>
void gradients(const CrossEntropyBackward& op) {
  const Targets<T> targets(op.target, op.classes);
  const bool per_row = op.reduction == Reduction::none;
  const T* dloss = static_cast<const T*>(op.dloss);
  const double divisor = per_row ? 1 : static_cast<double>(*static_cast<const T*>(op.divisor));
  parallel_for(op.rows, rows_per_thread(op.classes), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* dz = static_cast<T*>(op.dlogits) + r * op.classes;
      if (!op.accumulate) std::fill_n(dz, op.classes, T{0});
      if (targets.ignored(r)) continue;
      row_gradient(targets, r, static_cast<const T*>(op.logits) + r * op.classes, op.classes,
                   static_cast<double>(static_cast<const T*>(op.lse)[r]),
                   static_cast<double>(dloss[per_row ? r : 0]) / divisor, dz);
    }
  });
}

// How many classes stand before y.
template <class T>
std::int64_t rank_of(const T* z, std::int64_t classes, std::int64_t y) {
  if (z[y] != z[y]) return std::numeric_limits<std::int64_t>::max();  // wrong for any k
  std::int64_t before = 0;
  for (std::int64_t k = 0; k < y; ++k) before += !(z[k] < z[y]);
  for (std::int64_t k = y + 1; k < classes; ++k) before += !(z[k] <= z[y]);
  return before;
}

}  // namespace

Plan plan(const CrossEntropyForward&, const Device&) { return {.variant = "row"}; }
Plan plan(const CrossEntropyBackward&, const Device&) { return {.variant = "row"}; }
Plan plan(const TopKCount&, const Device&) { return {.variant = "row"}; }

void run(const CrossEntropyForward& op, const Plan&, void*, const Stream&) {
  require_target_dtype(op);
  if (is_class_index(op.target.dtype)) {
    require_classes("cross_entropy", {op.target.target, op.target.dtype}, op.rows, op.classes,
                    op.target.ignore_index);
  }
  with_float(op.dtype, [&]<class T>(Type<T>) {
    const Targets<T> targets(op.target, op.classes);
    row_losses(op, targets);
    if (op.reduction != Reduction::none) reduce(op, targets);
  });
}

void run(const CrossEntropyBackward& op, const Plan&, void*, const Stream&) {
  with_float(op.dtype, [&]<class T>(Type<T>) { gradients<T>(op); });
}

void run(const TopKCount& op, const Plan&, void*, const Stream&) {
  require_target_dtype(op);
  const ClassIndex target{op.target, op.target_dtype};
  require_classes("top_k", target, op.rows, op.classes, op.ignore_index);
  if (!op.accumulate) std::fill_n(op.correct, 3, 0);
  with_float(op.dtype, [&]<class T>(Type<T>) {
    for (std::int64_t r = 0; r < op.rows; ++r) {
      if (target[r] == op.ignore_index) continue;
      const T* z = static_cast<const T*>(op.logits) + r * op.classes;
      const std::int64_t rank = rank_of(z, op.classes, target[r]);
      op.correct[0] += rank < op.k[0];
      op.correct[1] += rank < op.k[1];
      ++op.correct[2];
    }
  });
}

}  // namespace convoy::on_cpu
