// SPDX-License-Identifier: MIT
// What gemm's rungs make of their sums: bias, what was there, residual, ReLU, statistics.
#include "kernels/half.h"
#include "tests/kernels/gpu/gemm_check.h"
#include "tests/support/errors.h"
#include "tests/support/reference/batch_norm.h"

namespace convoy::testing {
namespace {

constexpr int kBias = 4, kAccumulate = 8, kResidual = 16, kRelu = 32;

// Each set of terms, with the transposes in turn; rows that take packs, and rows that do not.
GPU_CASE(GemmEpilogue, EverySetOfTerms) {
  for_each_dtype([](DType dtype) {
    for (const char* rung : variants(Gemm{.dtype = dtype}, case_device())) {
      for (int bits = 16; bits < 64; bits += 4) {
        check({5, 7, 3}, dtype, 2, flags(bits | bits / 4 % 4), rung);
        check({3, 8, 2}, dtype, 1, flags(bits | bits / 8 % 4), rung, {.a = 0, .b = 0, .c = 4});
      }
    }
  });
}

GPU_CASE(GemmEpilogue, SeveralTiles) {
  for (const char* rung : variants(Gemm{}, case_device())) {
    check({65, 33, 17}, DType::f32, 1, flags(kResidual | kRelu), rung);
    check({63, 66, 9}, DType::bf16, 2, flags(kBias | kAccumulate | kResidual | 1), rung);
  }
  check({130, 68, 40}, DType::f16, 1, flags(kBias | kResidual | kRelu), "tensor_core", {8, 8, 4});
  check({376, 248, 40}, DType::f16, 1, flags(kBias | kResidual | kRelu), "tensor_core", {8, 8, 4});
  for (const char* rung : {"register_tile", "warp_tile"}) {
    check({129, 130, 9}, DType::f32, 1, flags(kBias | kResidual | kRelu), rung);
  }
}

// The terms come once, when the parts of the depth are added.
GPU_CASE(GemmEpilogue, ASplitDepth) {
  constexpr int kAll = kBias | kAccumulate | kResidual | kRelu;
  check({9, 7, 520}, DType::f16, 1, flags(kAll), "tensor_core", {0, 0, 3});
  check({8, 12, 544}, DType::bf16, 2, flags(kResidual | kRelu), "tensor_core", {8, 8, 4});
  check({8, 12, 544}, DType::f16, 1, flags(kAll | 2), "tensor_core", {8, 8, 4}, DType::f32);
}

GPU_CASE(GemmEpilogue, HalfFactorsMayHaveAnF32Product) {
  for (const char* rung : variants(Gemm{.dtype = DType::f16}, case_device())) {
    check({9, 8, 5}, DType::f16, 2, flags(kBias | kResidual | kRelu), rung, {.c = 4}, DType::f32);
    check({7, 5, 3}, DType::bf16, 1, flags(kAccumulate | kResidual), rung, {}, DType::f32);
  }
}

// Tiles that leave by the copy engine, and tiles that do not; more of them than blocks.
GPU_CASE(GemmEpilogue, Wgmma) {
  NEEDS_WGMMA();
  for (int bits = 16; bits < 64; bits += 4) {
    check_wgmma({67, 70, 24}, DType::f16, 1, flags(bits | bits / 4 % 4));
  }
  check_wgmma({130, 40, 72}, DType::bf16, 3, flags(kBias | kAccumulate | kRelu));
  check_wgmma({67, 70, 24}, DType::bf16, 1, flags(kResidual | 2));
  check_wgmma({66, 257, 24}, DType::bf16, 2, flags(kResidual | kRelu), Rows::ragged);
  check_wgmma({66, 129, 24}, DType::f16, 1, flags(kBias | kResidual | kRelu), Rows::ragged,
              DType::f32);
}

// Arrays that begin behind a multiple of a pack's bytes.
GPU_CASE(GemmEpilogue, TermsThatAreNotAligned) {
  constexpr std::int64_t kM = 5, kN = 8, kK = 16;
  const auto a = random_doubles(DType::f16, kM * kK, 1), b = random_doubles(DType::f16, kK * kN, 2);
  const auto bias = random_doubles(DType::f16, 1 + kN, 3);
  const auto residual = random_doubles(DType::f16, 1 + kM * kN, 4);
  const DeviceArray da(DType::f16, a), db(DType::f16, b), dbias(DType::f16, bias);
  const DeviceArray dresidual(DType::f16, residual);
  for (const bool odd_bias : {false, true}) {
    const DeviceArray c(DType::f16, kM * kN);
    Gemm op = dense_gemm(kM, kN, kK, da.data(), false, db.data(), false, c.data(), DType::f16);
    const std::int64_t of_bias = odd_bias ? 1 : 0, of_residual = 1 - of_bias;
    op.epilogue = {.bias = dbias.as<F16>() + of_bias,
                   .residual = dresidual.as<F16>() + of_residual};
    auto want = reference::gemm(kM, kN, kK, a, false, kK, b, false, kN);
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] += bias[i % kN + static_cast<std::size_t>(of_bias)] +
                 residual[i + static_cast<std::size_t>(of_residual)];
    }
    for (const char* rung : variants(op, case_device())) {
      run_rung(op, rung);
      expect_close(c, want, sum_bound(kK + 2), rung);
    }
  }
}

// Of what is stored, also where it lies far from zero and where a ReLU has been; of one row, of
// ragged tiles of each size, of more rows of tiles than warps join them, and of a depth that would
// be split.
GPU_CASE(GemmEpilogue, StatisticsOfEachColumn) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const Sizes& s : {Sizes{1, 3, 2}, Sizes{70, 33, 9}, Sizes{1060, 3, 2}, Sizes{5, 6, 520},
                           Sizes{66, 72, 8}, Sizes{376, 120, 8}, Sizes{376, 248, 8}}) {
      SCOPED_TRACE(::testing::Message() << s.M << " x " << s.N);
      const DeviceArray a(dtype, random_doubles(dtype, s.M * s.K, 1));
      const DeviceArray b(dtype, random_doubles(dtype, s.N * s.K, 2));
      const DeviceArray bias(dtype, random_doubles(dtype, s.N, 3, s.M == 70 ? 64 : 0));
      const DeviceArray residual(dtype, random_doubles(dtype, s.M * s.N, 4));
      const DeviceArray c(dtype, s.M * s.N), mean(DType::f32, s.N), var(DType::f32, s.N);
      Gemm op = dense_gemm(s.M, s.N, s.K, a.data(), false, b.data(), true, c.data(), dtype);
      op.epilogue = {.bias = bias.data(),
                     .residual = s.N == 72 ? residual.data() : nullptr,
                     .activation = s.N == 72 ? Activation::relu : Activation::none,
                     .statistics = {mean.as<float>(), var.as<float>()}};
      for (const char* rung : variants(op, case_device())) {
        run_rung(op, rung);
        reference::BatchNorm ref{s.M, s.N, c.values(), {}, {}, {}, {}, {}, 0, false};
        ref.take_batch_statistics();
        expect_close(mean, ref.mean, {.scale = 1}, "mean");
        expect_close(var, ref.var, {.k = static_cast<double>(s.M), .scale = 4}, "variance");
      }
    }
  }
}

// Rows of the result may have gaps; statistics have none.
GPU_CASE(GemmEpilogue, StatisticsOfASlice) {
  const DeviceArray a(DType::f16, random_doubles(DType::f16, 9 * 4, 1));
  const DeviceArray b(DType::f16, random_doubles(DType::f16, 4 * 5, 2));
  const DeviceArray c(DType::f32, 9 * 8), mean(DType::f32, 5), var(DType::f32, 5);
  Gemm op = dense_gemm(9, 5, 4, a.data(), false, b.data(), false, c.data(), DType::f16);
  op.ldc = 8, op.out_dtype = DType::f32;
  op.epilogue.statistics = {mean.as<float>(), var.as<float>()};
  run_rung(op, "tensor_core");
  std::vector<double> stored;
  const auto values = c.values();
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i % 8 < 5) stored.push_back(values[i]);
  }
  reference::BatchNorm ref{9, 5, stored, {}, {}, {}, {}, {}, 0, false};
  ref.take_batch_statistics();
  expect_close(mean, ref.mean, {.scale = 1}, "mean");
  expect_close(var, ref.var, {.k = 9}, "variance");
}

// As the op relu: a NaN stays one, and of the infinities the negative one goes.
GPU_CASE(GemmEpilogue, ReluKeepsNan) {
  const double infinity = std::numeric_limits<double>::infinity();
  const DeviceArray a(DType::f16, std::vector<double>{1});
  const DeviceArray b(DType::f16, {std::nan(""), infinity, -infinity, -2});
  for (const char* rung : variants(Gemm{.dtype = DType::f16}, case_device())) {
    const DeviceArray c(DType::f16, 4);
    Gemm op = dense_gemm(1, 4, 1, a.data(), false, b.data(), false, c.data(), DType::f16);
    op.epilogue.activation = Activation::relu;
    run_rung(op, rung);
    expect_close(c, {std::nan(""), infinity, 0, 0}, sum_bound(1), rung);
  }
}

TEST(GemmEpilogue, StatisticsNeedOneProductOnTensorCores) {
  float mean = 0;
  const auto text = [&](DType dtype, std::int64_t batch) {
    Gemm op{.M = 1, .N = 1, .K = 1, .batch = batch, .dtype = dtype};
    op.epilogue.statistics.mean = &mean;
    return error_of([&] { plan(op, kSimDevice); });
  };
  EXPECT_EQ(text(DType::f16, 1), "");
  const char* expected = "gemm: statistics expect one product of f16 or bf16";
  expect_says(text(DType::f16, 2), expected);
  expect_says(text(DType::f32, 1), expected);
}

}  // namespace
}  // namespace convoy::testing
