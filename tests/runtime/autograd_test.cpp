// SPDX-License-Identifier: MIT
#include "runtime/autograd.h"

#include <gtest/gtest.h>

#include <functional>

#include "runtime/ops.h"
#include "tests/support/errors.h"

namespace convoy {
namespace {

using testing::error_of;
using testing::expect_says;

// Small ops of our own, so that the tape is tested apart from the library's ops.
std::vector<float> scaled(const Tensor& x, float factor) {
  std::vector<float> values = to_vector<float>(x);
  for (float& v : values) v *= factor;
  return values;
}

Tensor test_scale(const Tensor& x, float factor) {
  const Tensor y = from_vector(scaled(x, factor), x.shape());
  return record("test_scale", y, {x}, [x = save(x), factor](const Tensor& dy, Grads& grads) {
    EXPECT_NE(x.data(), nullptr);
    const GradDestination dx = grads.into(0);
    const std::vector<float> g = scaled(dy, factor);
    for (std::int64_t i = 0; i < dy.count(); ++i) {
      float& out = dx.tensor.as<float>()[i];
      out = (dx.accumulate ? out : 0) + g[static_cast<std::size_t>(i)];
    }
  });
}

// y = a + b; both gradients are dy itself.
Tensor test_add(const Tensor& a, const Tensor& b) {
  std::vector<float> sum = to_vector<float>(a);
  const std::vector<float> other = to_vector<float>(b);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
  return record("test_add", from_vector(sum, a.shape()), {a, b},
                [](const Tensor& dy, Grads& grads) {
                  grads.pass(0, dy);
                  grads.pass(1, dy);
                });
}

// As docs/autograd.md has it.
Tensor test_square(const Tensor& x) {
  const Tensor y = x.detach() * x.detach();
  return record("test_square", y, {x}, [x = save(x)](const Tensor& dy, Grads& grads) {
    grads.pass(0, dy * x.tensor() * 2.0);
  });
}

Tensor leaf(std::vector<float> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  return Tensor(from_vector(values, {n})).set_requires_grad(true);
}

TEST(Autograd, GradientFlowsThroughAChain) {
  const Tensor x = leaf({1, 2});
  test_scale(test_scale(x, 2), 3).backward(from_vector<float>({1, 10}, {2}));
  EXPECT_EQ(to_vector<float>(x.grad()), (std::vector<float>{6, 60}));
}

TEST(Autograd, AnOpMayBeMadeOfOthers) {
  const Tensor w = leaf({2, 3});
  sum(test_square(w) + w).backward();
  EXPECT_EQ(to_vector<float>(w.grad()), (std::vector<float>{5, 7}));
}

TEST(Autograd, BranchesAddUpAlsoWhenTheyShareOneGradient) {
  // y = a + a, z = 5 a, out = y + z + a: the add nodes hand the same memory to several takers.
  const Tensor x = leaf({1});
  const Tensor a = test_scale(x, 1);
  const Tensor out = test_add(test_add(test_add(a, a), test_scale(a, 5)), a);
  out.backward();
  EXPECT_EQ(to_vector<float>(x.grad()), (std::vector<float>{8}));
}

TEST(Autograd, ABorrowedGradientIsNotWrittenInto) {
  // b's gradient is s's own dy; a's later branch must not change what b sees.
  const Tensor x = leaf({1}), w = leaf({1});
  const Tensor a = test_scale(x, 1), b = test_scale(w, 1);
  const Tensor more = test_scale(a, 100);
  test_add(test_add(a, b), more).backward();
  EXPECT_EQ(to_vector<float>(x.grad()), (std::vector<float>{101}));
  EXPECT_EQ(to_vector<float>(w.grad()), (std::vector<float>{1}));
}

TEST(Autograd, LeavesAccumulateUntilZeroGrad) {
  Tensor x = leaf({1});
  test_scale(x, 2).backward();
  test_scale(x, 3).backward();
  EXPECT_EQ(x.grad().item(), 5);
  const void* memory = x.grad().data();
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
  test_scale(x, 4).backward();
  EXPECT_EQ(x.grad().item(), 4);
  EXPECT_EQ(x.grad().data(), memory) << "the gradient's memory is kept over steps";
}

TEST(Autograd, ALeafUsedTwiceInOneOp) {
  const Tensor x = leaf({1});
  test_add(x, x).backward();
  EXPECT_EQ(x.grad().item(), 2);
}

TEST(Autograd, ASecondBackwardThroughTheSameTapeIsAnError) {
  const Tensor x = leaf({1});
  const Tensor y = test_scale(x, 2);
  y.backward();
  expect_says(error_of([&] { y.backward(); }), "run the forward pass again");
}

TEST(Autograd, AnInPlaceWriteToASavedTensorIsAnError) {
  Tensor buffer = zeros({2});
  const Tensor x = leaf({1, 2});
  const Tensor y = test_scale(x, 2);
  {
    const NoGrad inference;
    Tensor(x).fill_(7);
  }
  expect_says(error_of([&] { y.backward(from_vector<float>({1, 1}, {2})); }), "changed in place");
}

TEST(Autograd, AnErrorInBackwardLeavesNoGradientBehind) {
  const Tensor x = leaf({1});
  const Tensor a = test_scale(x, 2);
  Tensor broken = record("test_broken", a.clone(), {a}, [](const Tensor& dy, Grads& grads) {
    grads.pass(0, dy);
    fail("test_broken: on purpose");
  });
  EXPECT_THROW(broken.backward(), Error);
  a.backward();
  EXPECT_EQ(x.grad().item(), 2);
}

TEST(Autograd, AnErrorInBackwardLeavesNoUnwrittenLeafGradient) {
  const Tensor x = leaf({1}), w = leaf({1});
  test_scale(w, 5).backward();
  Tensor broken = record("test_broken", x.clone(), {x, w, x}, [](const Tensor&, Grads& grads) {
    for (int i = 0; i < 3; ++i) grads.into(i);
    fail("test_broken: on purpose");
  });
  EXPECT_THROW(broken.backward(), Error);
  EXPECT_FALSE(x.grad().defined()) << "nobody wrote it";
  EXPECT_EQ(w.grad().item(), 5) << "an earlier backward() wrote it";
  test_scale(x, 2).backward();
  EXPECT_EQ(x.grad().item(), 2);
}

TEST(Autograd, NodesDropWhatTheySavedOnceRun) {
  const Tensor x = leaf(std::vector<float>(1000));
  Tensor middle = test_scale(x, 2);
  const std::weak_ptr<Storage> saved = middle.impl()->storage;
  const Tensor y = test_scale(middle, 3);
  middle = Tensor();
  EXPECT_FALSE(saved.expired()) << "the tape needs it";
  y.backward(zeros({1000}));
  EXPECT_TRUE(saved.expired());
}

TEST(Autograd, NoGradRecordsNothing) {
  const Tensor x = leaf({1});
  const NoGrad inference;
  const Tensor y = test_scale(x, 2);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(y.impl()->producer, nullptr);
}

TEST(Autograd, NothingIsRecordedWithoutALeafThatWantsIt) {
  const Tensor y = test_scale(zeros({1}), 2);
  EXPECT_EQ(y.impl()->producer, nullptr);
  expect_says(error_of([&] { y.backward(); }), "no input");
}

TEST(Autograd, AGradientIsCompleteWhenNoNodeIsLeftThatUsesTheLeaf) {
  const Tensor early = leaf({1, 2}), late = leaf({3, 4}), idle = leaf({5, 6});
  Tensor unused = test_add(late, idle);  // its tape is never run, and keeps `late` in use
  std::vector<const TensorImpl*> told;
  const auto run = [&] {
    const Tensor y = test_add(test_scale(early, 2), late);
    told.clear();
    early.impl()->grad_written = late.impl()->grad_written = false;
    const OnGradient on([&](const TensorImpl& done) { told.push_back(&done); });
    test_add(y, early).backward(from_vector<float>({1, 1}, {2}));
  };
  run();
  EXPECT_EQ(told, (std::vector<const TensorImpl*>{early.impl().get()}));
  unused = Tensor();
  run();
  EXPECT_EQ(told, (std::vector<const TensorImpl*>{late.impl().get(), early.impl().get()}));
}

TEST(Autograd, SomeoneWhoWaitsForGradientsMayThrow) {
  const Tensor x = leaf({2});
  {
    const OnGradient on([](const TensorImpl&) { throw Error("nobody listens"); });
    EXPECT_THROW(test_add(x, x).backward(), Error);
  }
  EXPECT_EQ(x.impl()->uses, 0);
  test_add(x, x).backward();
}

TEST(Autograd, ADeepTapeIsFreedWithoutRecursion) {
  const Tensor x = leaf({1});
  Tensor y = x;
  for (int i = 0; i < 200000; ++i) y = reshape(y, {1});
  const std::weak_ptr<Node> last = y.impl()->producer;
  y = Tensor();
  EXPECT_TRUE(last.expired());
}

}  // namespace
}  // namespace convoy
