// SPDX-License-Identifier: MIT
// What the memory-bound kernels move, counted by the access checker (preset simcheck), against the
// least that their operands allow: at most 1.1 times as many bytes, each element of the large
// arrays asked for by one lane, 16 bytes at a time. Prints a table.
#include "kernels/sim/traffic.h"

#include <functional>

#include "kernels/batch_norm.h"
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/image.h"
#include "kernels/layer_norm.h"
#include "kernels/norm_act.h"
#include "kernels/optimizer.h"
#include "kernels/pool2d.h"
#include "kernels/random_fill.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"
#include "tests/support/gpu_case.h"

namespace convoy::testing {
namespace {

constexpr std::int64_t kRows = 4096, kColumns = 64, kCount = kRows * kColumns;
constexpr double kMost = 1.1;
// Of the mean access in the large arrays, in bytes: a few kernels look at single elements as well.
constexpr double kWide = 15.5;

// A large array, and how often it has to be read and written.
struct Stream {
  const DeviceArray* array;
  double times;
  bool overlapping = false;  // neighbours look at the same elements: a cache's work
  std::size_t bytes() const {
    return static_cast<std::size_t>(array->count()) * size_of(array->dtype());
  }
};

DeviceArray random_array(DType dtype, std::int64_t count = kCount, std::uint32_t seed = 1) {
  return {dtype, random_doubles(dtype, count, seed)};
}

template <class Op>
void expect_least(const std::string& name, const Op& op, const std::vector<Stream>& streams,
                  double small = 0, double width_at_least = kWide) {
  SCOPED_TRACE(name);
  const sim::TrafficLog log;
  run_on_device(op);
  const sim::Traffic found = log.total();
  double least = small, requested = 0, accesses = 0, once = 0;
  for (const Stream& s : streams) {
    const sim::Traffic of_array = log.requests_in(s.array->data(), s.bytes());
    const auto bytes = static_cast<double>(s.bytes()) * s.times;
    least += bytes;
    requested += static_cast<double>(of_array.requested());
    accesses += static_cast<double>(of_array.accesses);
    once += bytes;
    if (!s.overlapping) {
      EXPECT_LE(static_cast<double>(of_array.requested()), kMost * bytes);
    }
  }
  const double moved = static_cast<double>(found.moved()), width = requested / accesses;
  std::printf("%-34s %-5s %9.0f %9.0f %6.3f %9.3f %6.1f %8.3f\n", name.c_str(),
              convoy::name(streams[0].array->dtype()), least, moved, moved / least,
              requested / once, width,
              32 * static_cast<double>(found.sectors) / static_cast<double>(found.requested()));
  EXPECT_LE(moved, kMost * least);
  EXPECT_GE(moved, least) << "less than the least: the test counts wrongly";
  EXPECT_GE(width, width_at_least);
}

void print_head() {
  std::printf("%-34s %-5s %9s %9s %6s %9s %6s %8s\n", "op", "dtype", "least", "moved", "ratio",
              "requested", "width", "sectors");
}

}  // namespace

// One test for each file of kernels.
#define TRAFFIC_TEST(name)                 \
  static void name##_traffic(DType dtype); \
  TEST(Traffic, name) {                    \
    print_head();                          \
    for_each_dtype(name##_traffic);        \
  }                                        \
  static void name##_traffic([[maybe_unused]] DType dtype)

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

TRAFFIC_TEST(Reduce) {
  const DeviceArray x = random_array(dtype), factor = random_array(dtype), dx(dtype, kCount);
  for (const std::uint32_t axes : {1u, 2u, 3u}) {
    const std::int64_t outputs = axes == 1 ? kColumns : axes == 2 ? kRows : 1;
    const auto small = static_cast<double>(outputs) * static_cast<double>(size_of(dtype));
    const DeviceArray y(dtype, outputs), index(DType::i64, outputs);
    const std::string over = " over axes " + std::to_string(axes);
    ReduceSum sum{{kRows, kColumns}, {kColumns, 1}, axes, x.data(), y.data(), dtype};
    expect_least("sum" + over, sum, {{&x, 1}}, small);
    sum.factor = factor.data();
    sum.factor_strides = sum.x_strides;
    expect_least("dot" + over, sum, {{&x, 1}, {&factor, 1}}, small);
    const ReduceMax max{{kRows, kColumns},        {kColumns, 1}, axes, x.data(), y.data(),
                        index.as<std::int64_t>(), dtype};
    const double of_index = 8 * static_cast<double>(outputs);
    expect_least("max" + over, max, {{&x, 1}}, small + of_index);
    expect_least("max backward" + over,
                 ReduceMaxBackward{
                     {kRows, kColumns}, axes, y.data(), index.as<std::int64_t>(), dx.data(), dtype},
                 {{&dx, 1}}, small + of_index);
  }
}

TRAFFIC_TEST(Softmax) {
  for (const std::int64_t classes : {64, 1024, 4096}) {
    const DeviceArray x = random_array(dtype), dy = random_array(dtype), y(dtype, kCount);
    const std::string of = " of " + std::to_string(classes);
    expect_least("softmax" + of,
                 SoftmaxForward{kCount / classes, classes, x.data(), y.data(), false, dtype},
                 {{&x, 1}, {&y, 1}});
    expect_least("softmax backward" + of,
                 SoftmaxBackward{kCount / classes, classes, x.data(), dy.data(), y.data(), false,
                                 false, dtype},
                 {{&x, 1}, {&dy, 1}, {&y, 1}});
  }
}

TRAFFIC_TEST(CrossEntropy) {
  constexpr std::int64_t kClasses = 1024, kSamples = kCount / kClasses;
  const DeviceArray z = random_array(dtype), dz(dtype, kCount), soft = random_array(dtype);
  const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(kSamples, 7));
  const DeviceArray row_loss(DType::f32, kSamples), lse(DType::f32, kSamples), one(DType::f32, 1),
      loss(DType::f32, 1), divisor(DType::f32, 1);
  const DeviceValues<std::int64_t> correct({0, 0, 0});
  run_on_device(Fill{1, one.data(), 1.0, DType::f32});
  CrossEntropyForward forward{.rows = kSamples,
                              .classes = kClasses,
                              .logits = z.data(),
                              .target = {.target = target.data()},
                              .row_loss = row_loss.data(),
                              .lse = lse.data(),
                              .loss = loss.data(),
                              .divisor = divisor.data(),
                              .dtype = dtype};
  CrossEntropyBackward backward{.rows = kSamples,
                                .classes = kClasses,
                                .logits = z.data(),
                                .target = forward.target,
                                .lse = lse.data(),
                                .divisor = divisor.data(),
                                .dloss = one.data(),
                                .dlogits = dz.data(),
                                .dtype = dtype};
  expect_least("cross entropy", forward, {{&z, 1}});
  expect_least("cross entropy backward", backward, {{&z, 1}, {&dz, 1}});
  forward.target = backward.target = {.target = soft.data(), .dtype = dtype};
  expect_least("soft cross entropy", forward, {{&z, 1}, {&soft, 1}});
  expect_least("soft cross entropy backward", backward, {{&z, 1}, {&soft, 1}, {&dz, 1}});
  expect_least("top k",
               TopKCount{.rows = kSamples,
                         .classes = kClasses,
                         .logits = z.data(),
                         .target = target.data(),
                         .correct = correct.data(),
                         .dtype = dtype},
               {{&z, 1}}, 0, 13);  // all lanes read the logit of their row's class
}

TRAFFIC_TEST(BatchNorm) {
  const DeviceArray x = random_array(dtype), r = random_array(dtype), dy = random_array(dtype),
                    y(dtype, kCount), dx(dtype, kCount), dr(dtype, kCount);
  const DeviceArray scale = random_array(dtype, kColumns), bias = random_array(dtype, kColumns),
                    d_scale(dtype, kColumns), d_bias(dtype, kColumns);
  const DeviceArray mean(DType::f32, kColumns), rstd(DType::f32, kColumns);
  BatchNormForward forward{.rows = kRows,
                           .channels = kColumns,
                           .x = x.data(),
                           .scale = scale.data(),
                           .bias = bias.data(),
                           .mean = mean.data(),
                           .rstd = rstd.data(),
                           .y = y.data(),
                           .dtype = dtype};
  BatchNormBackward backward{.rows = kRows,
                             .channels = kColumns,
                             .x = x.data(),
                             .dy = dy.data(),
                             .scale = scale.data(),
                             .bias = bias.data(),
                             .mean = mean.data(),
                             .rstd = rstd.data(),
                             .dx = dx.data(),
                             .d_scale = d_scale.data(),
                             .d_bias = d_bias.data(),
                             .dtype = dtype};
  expect_least("batch_norm", forward, {{&x, 2}, {&y, 1}});
  expect_least("batch_norm backward", backward, {{&x, 2}, {&dy, 2}, {&dx, 1}});
  forward.relu = backward.relu = true;
  expect_least("batch_norm, relu", forward, {{&x, 2}, {&y, 1}});
  expect_least("batch_norm, relu, backward", backward, {{&x, 2}, {&dy, 2}, {&dx, 1}});
  forward.residual = r.data();
  backward.y = y.data();
  backward.d_residual = dr.data();
  expect_least("batch_norm, residual", forward, {{&x, 2}, {&r, 1}, {&y, 1}});
  expect_least("batch_norm, residual, backward", backward,
               {{&x, 2}, {&y, 2}, {&dy, 2}, {&dx, 1}, {&dr, 1}});
  forward.training = false;
  forward.running_mean = mean.data();
  forward.running_var = rstd.data();
  forward.mean = forward.rstd = nullptr;
  expect_least("batch_norm, inference", forward, {{&x, 1}, {&r, 1}, {&y, 1}});
}

TRAFFIC_TEST(LayerNorm) {
  for (const std::int64_t channels : {64, 1024, 4096}) {
    const std::int64_t rows = kCount / channels;
    const DeviceArray x = random_array(dtype), dy = random_array(dtype), y(dtype, kCount),
                      dx(dtype, kCount);
    const DeviceArray scale = random_array(dtype, channels), bias = random_array(dtype, channels),
                      d_scale(dtype, channels), d_bias(dtype, channels);
    const DeviceArray mean(DType::f32, rows), rstd(DType::f32, rows);
    const std::string of = " of " + std::to_string(channels);
    const double statistics = 8 * static_cast<double>(rows);
    const double parameters = 2 * static_cast<double>(channels * std::int64_t(size_of(dtype)));
    expect_least("layer_norm" + of,
                 LayerNormForward{.rows = rows,
                                  .channels = channels,
                                  .x = x.data(),
                                  .scale = scale.data(),
                                  .bias = bias.data(),
                                  .mean = mean.data(),
                                  .rstd = rstd.data(),
                                  .y = y.data(),
                                  .dtype = dtype},
                 {{&x, 1}, {&y, 1}}, statistics + parameters);
    expect_least("layer_norm backward" + of,
                 LayerNormBackward{.rows = rows,
                                   .channels = channels,
                                   .x = x.data(),
                                   .dy = dy.data(),
                                   .scale = scale.data(),
                                   .mean = mean.data(),
                                   .rstd = rstd.data(),
                                   .dx = dx.data(),
                                   .d_scale = d_scale.data(),
                                   .d_bias = d_bias.data(),
                                   .dtype = dtype},
                 {{&x, 2}, {&dy, 2}, {&dx, 1}}, 2 * statistics + 2 * parameters);
  }
}

TRAFFIC_TEST(NormAct) {
  const DeviceArray x = random_array(dtype), r = random_array(dtype), g(dtype, kCount);
  const DeviceValues<NormLine> lines(std::vector<NormLine>(kColumns, {0, 1, 0, 1}));
  expect_least(
      "norm_act",
      NormAct{kRows, kColumns, x.data(), lines.data(), r.data(), nullptr, g.data(), true, dtype},
      {{&x, 1}, {&r, 1}, {&g, 1}});
}

TRAFFIC_TEST(Pool2d) {
  constexpr std::int64_t kSide = 32;
  const Shape image{kRows / (kSide * kSide), kSide, kSide, kColumns};
  const DeviceArray x = random_array(dtype), dx(dtype, kCount);
  struct Case {
    const char* name;
    Pool2dOptions options;
    bool overlapping;
  };
  for (const Case& c : {Case{" 2x2", {.kernel_size = {2, 2}}, false},
                        Case{" 3x3/2", {{3, 3}, {2, 2}, {1, 1}}, true}}) {
    const std::string of = c.name;
    const Pool2dGeometry g = pool2d_geometry("pool2d", image, c.options);
    const std::int64_t outputs = g.output_shape().count();
    const DeviceArray y(dtype, outputs), index(DType::i32, outputs);
    const auto of_index = static_cast<std::int32_t*>(index.data());
    expect_least("max_pool2d" + of, MaxPool2dForward{g, x.data(), y.data(), of_index, dtype},
                 {{&x, 1, c.overlapping}, {&y, 1}, {&index, 1}});
    expect_least("max_pool2d backward" + of,
                 MaxPool2dBackward{g, y.data(), of_index, dx.data(), false, dtype},
                 {{&y, 1, true}, {&index, 1, true}, {&dx, 1}});
    expect_least("avg_pool2d" + of, AvgPool2dForward{g, x.data(), y.data(), dtype},
                 {{&x, 1, c.overlapping}, {&y, 1}});
    expect_least("avg_pool2d backward" + of,
                 AvgPool2dBackward{g, y.data(), dx.data(), false, dtype},
                 {{&y, 1, true}, {&dx, 1}});
  }
}

TRAFFIC_TEST(Upsample) {
  const DeviceArray x = random_array(dtype, kCount / 4), y(dtype, kCount), dx(dtype, kCount / 4);
  for (const UpsampleMode mode : {UpsampleMode::nearest, UpsampleMode::bilinear}) {
    const UpsampleGeometry g =
        upsample_geometry({4, 16, 16, kColumns}, {.size = {32, 32}, .mode = mode});
    const std::string name = mode == UpsampleMode::nearest ? "nearest" : "bilinear";
    expect_least(name, UpsampleForward{g, x.data(), y.data(), dtype}, {{&x, 1, true}, {&y, 1}});
    // Packs of four: registers are short.
    expect_least(name + " backward", UpsampleBackward{g, y.data(), dx.data(), false, dtype},
                 {{&y, 1, true}, {&dx, 1}}, 0, 4 * static_cast<double>(size_of(dtype)));
  }
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

TRAFFIC_TEST(Image) {
  constexpr std::int64_t kSide = 32, kBatch = 8, kPixels = kBatch * kSide * kSide;
  const DeviceArray x(DType::u8, std::vector<double>(kPixels * 3, 7.0)), y(dtype, kPixels * 8);
  expect_least("image",
               ImageNormalize{.batch = kBatch,
                              .images = kBatch,
                              .height = kSide,
                              .width = kSide,
                              .channels = 3,
                              .out_height = kSide,
                              .out_width = kSide,
                              .out_channels = 8,
                              .x = x.as<std::uint8_t>(),
                              .index = nullptr,
                              .rows = nullptr,
                              .y = y.data(),
                              .out_dtype = dtype},
               {{&y, 1}}, kPixels * 3);
}

}  // namespace convoy::testing
