// SPDX-License-Identifier: MIT
// Those of a hundred runs (tests/kernels/gpu/repeat.h).
#include "tests/kernels/gpu/repeat.h"
#include "kernels/batch_norm.h"
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/elementwise.h"
#include "kernels/image.h"
#include "kernels/layer_norm.h"
#include "kernels/optimizer.h"
#include "kernels/pool2d.h"
#include "kernels/random_fill.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"
#include "kernels/upsample.h"

namespace convoy::testing {
namespace {

const Strides kDense{kColumns, 1};
const Shape kShape{kRows, kColumns};

TEST(Repeats, ElementsAndCopies) {
  for_each_dtype([](DType dtype) {
    const DeviceArray a = some(dtype, 1), b = some(dtype, 2), y(dtype, kCount);
    const DeviceValues<StepState> state(std::vector<StepState>(1));
    expect_same_bits("unary", [&] {
      run_on_device(Unary{UnaryFn::gelu, kCount, a.data(), y.data(), dtype});
      return bytes_of(y);
    });
    expect_same_bits("unary backward", [&] {
      run_on_device(UnaryBackward{UnaryFn::gelu, kCount, a.data(), b.data(), y.data(), dtype});
      return bytes_of(y);
    });
    expect_same_bits("binary", [&] {
      run_on_device(
          Binary{BinaryFn::mul, kShape, kDense, {0, 1}, a.data(), b.data(), y.data(), dtype});
      return bytes_of(y);
    });
    expect_same_bits("copy", [&] {
      run_on_device(Copy{kShape, {1, kRows}, kDense, a.data(), y.data(), dtype});
      return bytes_of(y);
    });
    expect_same_bits("cast", [&] {
      run_on_device(Cast{kCount, a.data(), dtype, y.data(), dtype});
      return bytes_of(y);
    });
    expect_same_bits("dropout", [&] {
      run_on_device(Dropout{kCount, a.data(), y.data(), {1, 2}, state.data(), 0.3, dtype});
      return bytes_of(y);
    });
    expect_same_bits("fills", [&] {
      const DeviceArray z(dtype, 50), t(dtype, kCount), order(DType::i64, kRows), filled(dtype, 7);
      run_on_device(UniformFill{kCount, y.data(), dtype, {1, 2}});
      run_on_device(NormalFill{50, z.data(), dtype, {1, 3}});
      run_on_device(TruncatedNormalFill{kCount, t.data(), dtype, {1, 4}});
      run_on_device(PermutationFill{kRows, order.as<std::int64_t>(), {1, 5}});
      run_on_device(Fill{7, filled.data(), 0.5, dtype});
      return bytes_of(y, z, t, order, filled);
    });
  });
}

TEST(Repeats, Reductions) {
  for_each_dtype([](DType dtype) {
    const DeviceArray x = some(dtype, 1), dy = some(dtype, 2);
    for (const std::uint32_t axes : {1u, 2u, 3u}) {
      expect_same_bits("sum and max", [&] {
        const DeviceArray y(dtype, kept_extents(kShape, axes).count());
        const DeviceArray index(DType::i64, y.count()), largest(dtype, y.count());
        const DeviceArray dx(dtype, kCount);
        auto* const at = index.as<std::int64_t>();
        run_on_device(ReduceSum{kShape, kDense, axes, x.data(), y.data(), dtype});
        run_on_device(ReduceMax{kShape, kDense, axes, x.data(), largest.data(), at, dtype});
        run_on_device(ReduceMaxBackward{kShape, axes, dy.data(), at, dx.data(), dtype});
        return bytes_of(y, largest, index, dx);
      });
    }
    expect_same_bits("softmax", [&] {
      const DeviceArray y(dtype, kCount), dx(dtype, kCount);
      run_on_device(SoftmaxForward{kRows, kColumns, x.data(), y.data(), false, dtype});
      run_on_device(
          SoftmaxBackward{kRows, kColumns, y.data(), dy.data(), dx.data(), false, false, dtype});
      return bytes_of(y, dx);
    });
  });
}

TEST(Repeats, CrossEntropy) {
  for_each_dtype([](DType dtype) {
    const DeviceArray z = some(dtype, 1);
    const DeviceValues<std::int64_t> target(std::vector<std::int64_t>(kRows, 3));
    expect_same_bits("cross entropy", [&] {
      const DeviceArray row_loss(DType::f32, kRows), lse(DType::f32, kRows), loss(DType::f32, 1),
          divisor(DType::f32, 1), dz(dtype, kCount);
      const CrossEntropyTarget of{.target = target.data(), .label_smoothing = 0.1};
      run_on_device(CrossEntropyForward{.rows = kRows,
                                        .classes = kColumns,
                                        .logits = z.data(),
                                        .target = of,
                                        .row_loss = row_loss.data(),
                                        .lse = lse.data(),
                                        .loss = loss.data(),
                                        .divisor = divisor.data(),
                                        .dtype = dtype});
      run_on_device(CrossEntropyBackward{.rows = kRows,
                                         .classes = kColumns,
                                         .logits = z.data(),
                                         .target = of,
                                         .lse = lse.data(),
                                         .divisor = divisor.data(),
                                         .dloss = loss.data(),
                                         .dlogits = dz.data(),
                                         .dtype = dtype});
      return bytes_of(row_loss, lse, loss, divisor, dz);
    });
  });
}

TEST(Repeats, Norms) {
  for_each_dtype([](DType dtype) {
    const DeviceArray x = some(dtype, 1), dy = some(dtype, 2), scale = some(dtype, 3, kColumns);
    expect_same_bits("batch_norm", [&] {
      const DeviceArray y(dtype, kCount), dx(dtype, kCount), d_scale(dtype, kColumns),
          d_bias(dtype, kColumns), mean(DType::f32, kColumns), rstd(DType::f32, kColumns);
      run_on_device(BatchNormForward{.rows = kRows,
                                     .channels = kColumns,
                                     .x = x.data(),
                                     .scale = scale.data(),
                                     .mean = mean.data(),
                                     .rstd = rstd.data(),
                                     .y = y.data(),
                                     .relu = true,
                                     .dtype = dtype});
      run_on_device(BatchNormBackward{.rows = kRows,
                                      .channels = kColumns,
                                      .x = x.data(),
                                      .dy = dy.data(),
                                      .scale = scale.data(),
                                      .mean = mean.data(),
                                      .rstd = rstd.data(),
                                      .dx = dx.data(),
                                      .d_scale = d_scale.data(),
                                      .d_bias = d_bias.data(),
                                      .relu = true,
                                      .dtype = dtype});
      return bytes_of(y, mean, rstd, dx, d_scale, d_bias);
    });
    expect_same_bits("layer_norm", [&] {
      const DeviceArray y(dtype, kCount), dx(dtype, kCount), d_scale(dtype, kColumns),
          d_bias(dtype, kColumns), mean(DType::f32, kRows), rstd(DType::f32, kRows);
      run_on_device(LayerNormForward{.rows = kRows,
                                     .channels = kColumns,
                                     .x = x.data(),
                                     .scale = scale.data(),
                                     .mean = mean.data(),
                                     .rstd = rstd.data(),
                                     .y = y.data(),
                                     .dtype = dtype});
      run_on_device(LayerNormBackward{.rows = kRows,
                                      .channels = kColumns,
                                      .x = x.data(),
                                      .dy = dy.data(),
                                      .scale = scale.data(),
                                      .mean = mean.data(),
                                      .rstd = rstd.data(),
                                      .dx = dx.data(),
                                      .d_scale = d_scale.data(),
                                      .d_bias = d_bias.data(),
                                      .dtype = dtype});
      return bytes_of(y, mean, rstd, dx, d_scale, d_bias);
    });
  });
}

TEST(Repeats, PoolingAndResizing) {
  for_each_dtype([](DType dtype) {
    const Pool2dGeometry g = pool2d_geometry(
        "pool2d", {1, 6, 7, 5}, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    const std::int64_t inputs = g.input_shape().count(), outputs = g.output_shape().count();
    const DeviceArray x = some(dtype, 1, inputs), dy = some(dtype, 2, outputs);
    expect_same_bits("pool2d", [&] {
      const DeviceArray y(dtype, outputs), mean(dtype, outputs), dx(dtype, inputs),
          d_mean(dtype, inputs), index(DType::i32, outputs);
      auto* const at = index.as<std::int32_t>();
      run_on_device(MaxPool2dForward{g, x.data(), y.data(), at, dtype});
      run_on_device(MaxPool2dBackward{g, dy.data(), at, dx.data(), false, dtype});
      run_on_device(AvgPool2dForward{g, x.data(), mean.data(), dtype});
      run_on_device(AvgPool2dBackward{g, dy.data(), d_mean.data(), false, dtype});
      return bytes_of(y, index, mean, dx, d_mean);
    });
    expect_same_bits("upsample", [&] {
      const UpsampleGeometry to =
          upsample_geometry({1, 6, 7, 5}, {.size = {9, 8}, .mode = UpsampleMode::bilinear});
      const DeviceArray y(dtype, to.output_shape().count()), dx(dtype, inputs);
      run_on_device(UpsampleForward{to, x.data(), y.data(), dtype});
      run_on_device(UpsampleBackward{to, y.data(), dx.data(), false, dtype});
      return bytes_of(y, dx);
    });
    expect_same_bits("image", [&] {
      const DeviceArray u8(DType::u8, std::vector<double>(2 * 5 * 4 * 3, 9.0)), y(dtype, 2 * 9 * 8);
      run_on_device(ImageNormalize{.batch = 2,
                                   .images = 2,
                                   .height = 5,
                                   .width = 4,
                                   .channels = 3,
                                   .out_height = 3,
                                   .out_width = 3,
                                   .out_channels = 8,
                                   .x = u8.as<std::uint8_t>(),
                                   .index = nullptr,
                                   .rows = nullptr,
                                   .y = y.data(),
                                   .out_dtype = dtype});
      return bytes_of(y);
    });
  });
}

TEST(Repeats, Optimizers) {
  for_each_dtype([](DType dtype) {
    StepState step;
    step.learning_rate[0] = 0.1f;
    const DeviceValues<StepState> state(std::vector<StepState>{step});
    const DeviceValues<ParameterSlice> slices({{0, 1200}, {1200, kCount - 1200}});
    const DeviceArray g = some(dtype, 2);
    expect_same_bits("steps", [&] {
      const DeviceArray p = some(dtype, 1), a = some(dtype, 3);
      const DeviceArray b(dtype, std::vector<double>(kCount, 0.5)), norm(DType::f64, 1);
      run_on_device(
          SgdStep{kCount, p.data(), g.data(), a.data(), state.data(), 0, dtype, {.momentum = 0.9}});
      run_on_device(
          AdamWStep{kCount, p.data(), g.data(), a.data(), b.data(), state.data(), 0, dtype});
      run_on_device(LarsStep{slices.data(),
                             2,
                             p.data(),
                             g.data(),
                             a.data(),
                             state.data(),
                             0,
                             dtype,
                             {.weight_decay = 0.1}});
      run_on_device(SquaredNorm{kCount, p.data(), norm.as<double>(), dtype});
      return bytes_of(p, a, b, norm);
    });
  });
}

}  // namespace
}  // namespace convoy::testing
