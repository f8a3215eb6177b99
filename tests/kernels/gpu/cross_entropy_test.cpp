// SPDX-License-Identifier: MIT
#include "kernels/cross_entropy.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/cross_entropy.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t rows, classes;
  bool soft = false, weights = false;
  double smoothing = 0;
  int ignore_every = 0;  // rows that carry ignore_index: every so many, the first among them
};
const Case kCases[] = {
    {1, 1},
    {2, 3},
    {33, 10},
    {5, 129, false, true},
    {31, 10, false, false, 0.1},
    {19, 65, false, true, 0.1, 3},
    {13, 5, false, true, 0, 2},
    {300, 2, false, false, 0, 4},
    {2, 1100, false, true, 0.2},
    {5, 4, true},
    {31, 10, true, false, 0.1},
    {3, 70, true, true, 0.3},
    {5, 72, true, true, 0.1},
};

std::vector<double> scaled(std::vector<double> values, double by) {
  for (double& v : values) v *= by;
  return values;
}
std::vector<double> magnitudes(std::vector<double> values) {
  for (double& v : values) v = std::abs(v) + 0.125;
  return values;
}
std::vector<double> classes_of(const Case& c) {
  std::vector<double> index;
  for (std::int64_t r = 0; r < c.rows; ++r) {
    const bool ignored = c.ignore_every > 0 && r % c.ignore_every == 0;
    index.push_back(ignored ? -100 : static_cast<double>((r * 7 + c.classes - 1) % c.classes));
  }
  return index;
}

struct Problem {
  Problem(const Case& c, DType dtype)
      : Problem(c, dtype, rounded(dtype, scaled(random_doubles(dtype, c.rows * c.classes, 1), 8)),
                classes_of(c)) {}
  Problem(const Case& c, DType dtype, std::vector<double> z, std::vector<double> index)
      : weight(dtype, rounded(dtype, magnitudes(random_doubles(dtype, c.classes, 2)))),
        soft(dtype, rounded(dtype, magnitudes(random_doubles(dtype, c.rows * c.classes, 3)))),
        logits(dtype, z),
        classes(DType::i64, index),
        row_loss(DType::f32, c.rows),
        lse(DType::f32, c.rows),
        loss(DType::f32, 1),
        divisor(DType::f32, 1),
        dlogits(dtype, c.rows * c.classes) {
    ref = {c.rows, c.classes, z, {}, {}, {}, c.smoothing};
    if (c.soft) ref.soft = soft.values();
    if (!c.soft) ref.index.assign(index.begin(), index.end());
    if (c.weights) ref.weight = weight.values();
    const CrossEntropyTarget target{.target = c.soft ? soft.data() : classes.data(),
                                    .dtype = c.soft ? dtype : DType::i64,
                                    .class_weight = c.weights ? weight.data() : nullptr,
                                    .label_smoothing = c.smoothing};
    forward = {.rows = c.rows,
               .classes = c.classes,
               .logits = logits.data(),
               .target = target,
               .row_loss = row_loss.data(),
               .lse = lse.data(),
               .loss = loss.data(),
               .divisor = divisor.data(),
               .dtype = dtype};
    backward = {.rows = c.rows,
                .classes = c.classes,
                .logits = logits.data(),
                .target = target,
                .lse = lse.data(),
                .divisor = divisor.data(),
                .dlogits = dlogits.data(),
                .dtype = dtype};
  }

  DeviceArray weight, soft, logits, classes, row_loss, lse, loss, divisor, dlogits;
  reference::CrossEntropy ref;
  CrossEntropyForward forward;
  CrossEntropyBackward backward;
};

void expect_agreement(const Case& c, Reduction reduction, DType dtype) {
  SCOPED_TRACE(::testing::Message()
               << c.rows << " x " << c.classes << ", reduction " << static_cast<int>(reduction));
  Problem p(c, dtype);
  p.forward.reduction = p.backward.reduction = reduction;
  const bool none = reduction == Reduction::none;
  if (none) p.forward.loss = p.forward.divisor = nullptr, p.backward.divisor = nullptr;
  run_on_device(p.forward);
  const std::vector<double> rows = p.ref.row_losses();
  const double n = static_cast<double>(c.rows), k = static_cast<double>(c.classes);
  const double scale = 16 * (c.soft ? k : 1);
  const double divisor = reduction == Reduction::mean ? p.ref.divisor() : 1;
  expect_close(p.row_loss, rows, {.scale = scale}, "row loss");
  if (!none) {
    double sum = 0;
    for (const double l : rows) sum += l;
    expect_close(p.loss, {sum / divisor}, {.k = n, .scale = scale / divisor}, "loss");
    expect_close(p.divisor, {divisor}, {.k = n}, "divisor");
  }
  const std::vector<double> dloss = random_doubles(DType::f32, none ? c.rows : 1, 5);
  const DeviceArray device_dloss(DType::f32, dloss);
  p.backward.dloss = device_dloss.data();
  run_on_device(p.backward);
  std::vector<double> per_row;
  for (std::size_t r = 0; r < rows.size(); ++r) per_row.push_back(dloss[none ? r : 0] / divisor);
  auto expected = p.ref.backward(per_row);
  const std::vector<double> once = p.dlogits.values();
  expect_close(once, dtype, expected, {.scale = scale / divisor}, "gradient");
  p.backward.accumulate = true;
  run_on_device(p.backward);
  for (std::size_t i = 0; i < once.size(); ++i) expected[i] += once[i];
  expect_close(p.dlogits, expected, {.scale = scale / divisor}, "gradient accumulated");
}

GPU_CASE(CrossEntropyKernel, LossAndGradientMatchReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      for (const Reduction reduction : {Reduction::none, Reduction::sum, Reduction::mean}) {
        // The reference takes the full Jacobian.
        if (c.classes > 1000 && reduction != Reduction::mean) continue;
        expect_agreement(c, reduction, dtype);
      }
    }
  });
}

// Rows too long for registers are read again. Classes that cannot occur add nothing, so that a
// short reference will do.
GPU_CASE(CrossEntropyKernel, LongRows) {
  constexpr std::int64_t kFew = 50, kMany = 8200;
  for_each_dtype([](DType dtype) {
    Problem few({2, kFew}, dtype), many({2, kMany}, dtype, std::vector<double>(2 * kMany), {7, 49});
    std::vector<double> z(2 * kMany, -30000);
    const std::vector<double> few_z = few.logits.values();
    for (std::int64_t i = 0; i < 2 * kFew; ++i) {
      z[static_cast<std::size_t>(i / kFew * kMany + i % kFew * 150)] =
          few_z[static_cast<std::size_t>(i)];
    }
    const DeviceArray logits(dtype, z), dloss(DType::f32, std::vector<double>{1});
    const DeviceValues<std::int64_t> target({7 * 150, 49 * 150});
    many.forward.logits = many.backward.logits = logits.data();
    many.forward.target.target = many.backward.target.target = target.data();
    many.backward.dloss = dloss.data();
    run_on_device(many.forward);
    run_on_device(many.backward);
    few.ref.index = {7, 49};
    expect_close(many.row_loss, few.ref.row_losses(), {.scale = 16}, "row loss");
    const std::vector<double> gradient = few.ref.backward({0.5, 0.5}),
                              found = many.dlogits.values();
    std::vector<double> expected(2 * kMany);
    for (std::int64_t i = 0; i < 2 * kFew; ++i) {
      expected[static_cast<std::size_t>(i / kFew * kMany + i % kFew * 150)] =
          gradient[static_cast<std::size_t>(i)];
    }
    expect_close(found, dtype, expected, {.scale = 16}, "gradient");
  });
}

GPU_CASE(CrossEntropyKernel, IndexMayBe32Bits) {
  Problem p({31, 10, false, true, 0.1, 3}, DType::f32);
  run_on_device(p.forward);
  const std::vector<double> loss = p.loss.values();
  const DeviceArray classes(DType::i32, p.classes.values());
  p.forward.target.target = classes.data();
  p.forward.target.dtype = DType::i32;
  run_on_device(p.forward);
  expect_equal(p.loss, loss, "loss");
}

GPU_CASE(CrossEntropyKernel, MeanOfNothingIsNaNAndItsGradientZero) {
  Problem p({3, 4, false, false, 0.1, 1}, DType::f16);
  run_on_device(p.forward);
  expect_equal(p.loss, {NAN}, "mean");
  const DeviceArray one(DType::f32, std::vector<double>{1});
  p.backward.dloss = one.data();
  run_on_device(p.backward);
  expect_equal(p.dlogits, std::vector<double>(12), "gradient");
  p.forward.reduction = Reduction::sum;
  run_on_device(p.forward);
  expect_equal(p.loss, {0}, "sum");
  p.forward.rows = 0;
  run_on_device(p.forward);
  expect_equal(p.loss, {0}, "sum over no rows");
}

GPU_CASE(CrossEntropyKernel, LogitsOfAnySizeAreSafe) {
  for_each_dtype([](DType dtype) {
    const std::vector<double> z = rounded(
        dtype, {30000, 0, -30000, 0, -INFINITY, 1, INFINITY, 1, NAN, 1, -INFINITY, -INFINITY});
    Problem p({6, 2}, dtype, z, {0, 1, 1, 0, 1, 0});
    p.forward.reduction = Reduction::none;
    run_on_device(p.forward);
    expect_equal(p.row_loss, {0, 0, 0, NAN, NAN, NAN}, "row loss");
  });
}

GPU_CASE(CrossEntropyKernel, WrongClassesAndIgnoredRows) {
  std::vector<double> z = random_doubles(DType::f32, 4 * 10, 1);
  z[20] = NAN;  // in an ignored row
  Problem p({4, 10}, DType::f32, z, {10, -1, -100, 9});
  const DeviceArray one(DType::f32, std::vector<double>{1});
  p.backward.dloss = one.data();
  p.forward.reduction = p.backward.reduction = Reduction::sum;
  run_on_device(p.forward);
  run_on_device(p.backward);
  const std::vector<double> losses = p.row_loss.values(), gradient = p.dlogits.values();
  for (std::size_t row = 0; row < 4; ++row) {
    EXPECT_EQ(std::isnan(losses[row]), row < 2);
    for (std::size_t k = 0; k < 10; ++k) EXPECT_EQ(std::isnan(gradient[row * 10 + k]), row < 2);
  }
  EXPECT_EQ(losses[2], 0);
  EXPECT_EQ(gradient[20], 0);
  expect_equal(p.loss, {NAN}, "loss");
}

GPU_CASE(CrossEntropyKernel, RefusesOtherTargets) {
  Problem p({2, 3}, DType::f16);
  p.forward.target.dtype = DType::f32;
  EXPECT_THROW(run_on_device(p.forward), Error);
  EXPECT_THROW(run_on_device(TopKCount{.target_dtype = DType::u8}), Error);
}

// By its definition: a row's classes in order, best first.
std::vector<double> top_k_reference(const TopKCount& op, const std::vector<double>& z,
                                    const std::vector<double>& index) {
  std::vector<double> correct(3);
  for (std::int64_t r = 0; r < op.rows; ++r) {
    const auto y = static_cast<std::int64_t>(index[static_cast<std::size_t>(r)]);
    if (y == op.ignore_index) continue;
    ++correct[2];
    if (y < 0 || y >= op.classes) continue;
    const auto logit = [&](std::int64_t k) {
      return z[static_cast<std::size_t>(r * op.classes + k)];
    };
    if (std::isnan(logit(y))) continue;
    std::int64_t before = 0;
    for (std::int64_t k = 0; k < op.classes; ++k) {
      before += std::isnan(logit(k)) || logit(k) > logit(y) || (logit(k) == logit(y) && k < y);
    }
    correct[0] += before < op.k[0] ? 1 : 0;
    correct[1] += before < op.k[1] ? 1 : 0;
  }
  return correct;
}

void expect_counts(std::int64_t rows, std::int64_t classes, DType dtype, DType target_dtype) {
  SCOPED_TRACE(::testing::Message() << rows << " x " << classes);
  std::vector<double> z = random_doubles(dtype, rows * classes, 6), index;
  for (std::size_t i = 0; i < z.size(); ++i) z[i] = i % 41 == 7 ? NAN : std::round(z[i] * 8);
  for (std::int64_t r = 0; r < rows; ++r) {
    index.push_back(static_cast<double>(r % 9 == 4 ? -100 : (r * 5) % (classes + 1)));
  }
  const DeviceArray logits(dtype, z), target(target_dtype, index), correct(DType::i64, 3);
  TopKCount op{.rows = rows,
               .classes = classes,
               .logits = logits.data(),
               .target = target.data(),
               .target_dtype = target_dtype,
               .correct = correct.as<std::int64_t>(),
               .dtype = dtype};
  run_on_device(op);
  const std::vector<double> once = top_k_reference(op, z, index);
  expect_equal(correct, once, "counts");
  op.accumulate = true;
  run_on_device(op);
  expect_equal(correct, scaled(once, 2), "counts accumulated");
}

GPU_CASE(CrossEntropyKernel, TopKCountsByTheDefinition) {
  for_each_dtype([](DType dtype) {
    for (const DType target_dtype : {DType::i32, DType::i64}) {
      expect_counts(0, 3, dtype, target_dtype);
      expect_counts(1, 1, dtype, target_dtype);
      expect_counts(19, 2, dtype, target_dtype);
      expect_counts(33, 10, dtype, target_dtype);
      expect_counts(31, 129, dtype, target_dtype);
      expect_counts(3, 1100, dtype, target_dtype);
    }
  });
}

}  // namespace
}  // namespace convoy::testing
