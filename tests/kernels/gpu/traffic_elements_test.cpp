// SPDX-License-Identifier: MIT
// Kernels that go through arrays element by element.
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/optimizer.h"
#include "kernels/random_fill.h"
#include "tests/kernels/gpu/traffic_check.h"

namespace convoy::testing {

TRAFFIC_TEST(Elementwise) {
  const DeviceArray x = random_array(dtype), dy = random_array(dtype), y(dtype, kCount);
  for (const UnaryFn fn : {UnaryFn::relu, UnaryFn::gelu}) {
    expect_least(to_text(fn), Unary{fn, kCount, x.data(), y.data(), dtype}, {{&x, 1}, {&y, 1}});
    expect_least(to_text(fn) + " backward",
                 UnaryBackward{fn, kCount, x.data(), dy.data(), y.data(), dtype},
                 {{&x, 1}, {&dy, 1}, {&y, 1}});
  }
}

TRAFFIC_TEST(Binary) {
  const DeviceArray a = random_array(dtype), b = random_array(dtype), y(dtype, kCount);
  const DeviceArray row = random_array(dtype, kColumns), column = random_array(dtype, kRows);
  const auto bytes = static_cast<double>(size_of(dtype));
  expect_least("add", dense_binary(BinaryFn::add, kCount, a.data(), b.data(), y.data(), dtype),
               {{&a, 1}, {&b, 1}, {&y, 1}});
  Binary op{BinaryFn::mul, {kRows, kColumns}, {kColumns, 1}, {0, 1},
            a.data(),      row.data(),        y.data(),      dtype};
  expect_least("mul by a row", op, {{&a, 1}, {&y, 1}}, bytes * kColumns);
  op.b_strides = {1, 0};
  op.b = column.data();
  expect_least("mul by a column", op, {{&a, 1}, {&y, 1}}, bytes * kRows);
}

TRAFFIC_TEST(Copy) {
  const DeviceArray x = random_array(dtype), y(dtype, kCount),
                    both = random_array(dtype, 2 * kCount);
  const DeviceArray numbers = random_array(DType::f32);
  expect_least("fill", Fill{kCount, y.data(), 1.0, dtype}, {{&y, 1}});
  Copy op{{kRows, kColumns}, {kColumns, 1}, {kColumns, 1}, x.data(), y.data(), dtype};
  expect_least("copy", op, {{&x, 1}, {&y, 1}});
  op.accumulate = true;
  expect_least("copy, accumulating", op, {{&x, 1}, {&y, 2}});
  op.y_strides = {2 * kColumns, 1};
  op.y = both.data();
  expect_least("concat, accumulating", op, {{&x, 1}, {&both, 1}});
  op.accumulate = false;
  expect_least("concat", op, {{&x, 1}, {&both, 0.5}});
  op = {{kRows, kColumns}, {2 * kColumns, 1}, {kColumns, 1}, both.data(), y.data(), dtype};
  expect_least("split", op, {{&both, 0.5}, {&y, 1}});
}

TRAFFIC_TEST(Dropout) {
  const DeviceArray x = random_array(dtype), y(dtype, kCount);
  const DeviceValues<StepState> state(std::vector<StepState>(1));
  expect_least("dropout", Dropout{kCount, x.data(), y.data(), {1, 2}, state.data(), 0.5, dtype},
               {{&x, 1}, {&y, 1}});
}

TRAFFIC_TEST(RandomFill) {
  const DeviceArray y(dtype, kCount);
  // A thread has the four numbers of one Philox block.
  const double width = 4 * static_cast<double>(size_of(dtype));
  expect_least("uniform", UniformFill{kCount, y.data(), dtype, {1, 2}}, {{&y, 1}}, 0, width);
  expect_least("normal", NormalFill{kCount, y.data(), dtype, {1, 2}}, {{&y, 1}}, 0, width);
}

TRAFFIC_TEST(Optimizer) {
  const DeviceArray p = random_array(dtype), g = random_array(dtype), a = random_array(dtype);
  const DeviceArray b(dtype, std::vector<double>(kCount, 1.0));
  const DeviceValues<StepState> state(std::vector<StepState>(1));
  const DeviceValues<ParameterSlice> slices({{0, kCount / 2}, {kCount / 2, kCount / 2}});
  const DeviceArray norm(DType::f64, 1);
  expect_least("sgd",
               SgdStep{kCount,
                       p.data(),
                       g.data(),
                       a.data(),
                       state.data(),
                       0,
                       dtype,
                       {.momentum = 0.9, .weight_decay = 0.1, .nesterov = true}},
               {{&p, 2}, {&g, 1}, {&a, 2}});
  expect_least("adamw",
               AdamWStep{kCount, p.data(), g.data(), a.data(), b.data(), state.data(), 0, dtype},
               {{&p, 2}, {&g, 1}, {&a, 2}, {&b, 2}});
  expect_least("rmsprop",
               RmspropStep{kCount,
                           p.data(),
                           g.data(),
                           b.data(),
                           a.data(),
                           nullptr,
                           state.data(),
                           0,
                           dtype,
                           {.momentum = 0.9}},
               {{&p, 2}, {&g, 1}, {&a, 2}, {&b, 2}});
  expect_least("lars",
               LarsStep{slices.data(), 2, p.data(), g.data(), a.data(), state.data(), 0, dtype},
               {{&p, 3}, {&g, 2}, {&a, 2}});
  expect_least("ema", EmaStep{kCount, a.data(), p.data(), state.data(), dtype}, {{&a, 2}, {&p, 1}});
  expect_least("scale gradients", ScaleGradients{kCount, g.data(), state.data(), dtype}, {{&g, 2}});
  expect_least("check finite", CheckFinite{kCount, g.data(), state.data(), dtype}, {{&g, 1}});
  expect_least("squared norm", SquaredNorm{kCount, g.data(), norm.as<double>(), dtype}, {{&g, 1}});
}

}  // namespace convoy::testing
