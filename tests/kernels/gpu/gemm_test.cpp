// SPDX-License-Identifier: MIT
#include "kernels/gemm.h"

#include <cmath>
#include <limits>

#include "kernels/half.h"
#include "kernels/sim/options.h"
#include "tests/kernels/gpu/gemm_check.h"
#include "tests/support/errors.h"
#include "tests/support/seeds.h"

namespace convoy::testing {
namespace {

void check_all_flags(const Sizes& s, std::int64_t batch) {
  for_each_dtype([&](DType dtype) {
    for (const char* rung : variants(Gemm{.dtype = dtype}, case_device())) {
      for (int bits = 0; bits < 16; ++bits) check(s, dtype, batch, flags(bits), rung);
    }
  });
}

GPU_CASE(GemmLadder, OneElement) { check_all_flags({1, 1, 1}, 1); }
GPU_CASE(GemmLadder, Ragged) { check_all_flags({5, 7, 17}, 1); }
GPU_CASE(GemmLadder, Batched) { check_all_flags({3, 18, 2}, 2); }
GPU_CASE(GemmLadder, NothingToSum) { check_all_flags({3, 4, 0}, 2); }
GPU_CASE(GemmLadder, EmptyResult) {
  for_each_dtype([](DType dtype) {
    for (const char* rung : variants(Gemm{.dtype = dtype}, case_device())) {
      for (const int bits : {0, 5, 10, 15}) {
        check({0, 4, 3}, dtype, 1, flags(bits), rung);
        check({4, 0, 3}, dtype, 1, flags(bits), rung);
        check({4, 3, 2}, dtype, 0, flags(bits), rung);
      }
    }
  });
}

// One row, one column, and one step of k, with tiles that are mostly empty.
GPU_CASE(GemmLadder, Slivers) {
  int bits = 0;
  for (const Sizes& s : {Sizes{1, 70, 9}, Sizes{70, 1, 9}, Sizes{66, 67, 1}}) {
    for (const char* rung : variants(Gemm{}, case_device())) {
      for (int i = 0; i < 4; ++i, bits += 5) check(s, DType::f32, 1, flags(bits & 15), rung);
    }
  }
}

// Enough tiles of the largest kind for every multiprocessor, the last ones ragged.
GPU_CASE(GemmLadder, LargeTiles) {
  int bits = 0;
  for (const Sizes& s : {Sizes{129, 130, 19}, Sizes{257, 67, 8}}) {
    for (const char* rung : {"register_tile", "warp_tile"}) {
      check(s, DType::f32, 1, flags(bits), rung);
      check(s, DType::f16, 1, flags(bits + 3), rung);
      bits += 5;
    }
  }
}

// Rows that begin at multiples of 16 bytes, with extents that do not end there: what moves four
// elements at once must not move those of the gap.
GPU_CASE(GemmLadder, AlignedRows) {
  for_each_dtype([](DType dtype) {
    for (const char* rung : variants(Gemm{}, case_device())) {
      for (int transposes = 0; transposes < 4; ++transposes) {
        for (const std::int64_t lost : {0, 1, 3}) {
          const std::int64_t M = 12 - lost, N = 72 - lost, K = 20 - lost;
          Gemm op{.M = M, .N = N, .K = K, .lda = 24, .ldb = 80, .ldc = 76, .dtype = dtype};
          op.transpose_a = (transposes & 1) != 0, op.transpose_b = (transposes & 2) != 0;
          const std::int64_t a_rows = op.transpose_a ? K : M, b_rows = op.transpose_b ? N : K;
          const std::int64_t a_columns = op.transpose_a ? M : K, b_columns = N + K - b_rows;
          const auto a = random_doubles(dtype, a_rows * op.lda, 1);
          const auto b = random_doubles(dtype, b_rows * op.ldb, 2);
          const DeviceArray da(dtype, with_gaps(a, a_columns, op.lda - a_columns));
          const DeviceArray db(dtype, with_gaps(b, b_columns, op.ldb - b_columns));
          const auto before = random_doubles(dtype, M * op.ldc, 3);
          const DeviceArray c(dtype, before);
          op.a = da.data(), op.b = db.data(), op.c = c.data();
          run_rung(op, rung);
          auto want = before;
          const auto product =
              reference::gemm(M, N, K, a, op.transpose_a, op.lda, b, op.transpose_b, op.ldb);
          for (std::int64_t i = 0; i < M * N; ++i) {
            want[static_cast<std::size_t>(i / N * op.ldc + i % N)] =
                product[static_cast<std::size_t>(i)];
          }
          expect_close(c, want, sum_bound(static_cast<double>(K)), rung);
        }
      }
    }
  });
}

// Around the tiles' edges, both widths; each dtype and rung with each of the transposes.
GPU_CASE(GemmLadder, SeveralTiles) {
  int bits = 0;
  for (const Sizes& s : {Sizes{65, 33, 33}, Sizes{63, 65, 16}, Sizes{129, 17, 31}}) {
    for (const char* rung : variants(Gemm{}, case_device())) {
      for (int transposes = 0; transposes < 4; ++transposes, bits += 5) {
        check(s, DType::f32, 1, flags(transposes | (bits & 12)), rung);
      }
      check(s, DType::f16, 1, flags(bits), rung);
      check(s, DType::bf16, 1, flags(bits + 1), rung);
    }
  }
}

// Rows in runs of 16, 4 and 2 bytes; more slabs than stages, and the last of them ragged.
GPU_CASE(GemmLadder, TensorCoresTakeRunsOfEachWidth) {
  for (int transposes = 0; transposes < 4; ++transposes) {
    check({72, 8, 168}, DType::f16, 1, flags(transposes | 4), "tensor_core", {8, 16, 4});
    check({16, 72, 40}, DType::bf16, 2, flags(transposes | 8), "tensor_core", {0, 0, 4});
    check({66, 10, 38}, DType::f16, 2, flags(transposes), "tensor_core", {2, 4, 2});
    check({6, 66, 34}, DType::bf16, 1, flags(transposes | 12), "tensor_core", {8, 3, 0});
  }
}

// As many tiles of 128 x 128 as there are multiprocessors; several in each direction.
GPU_CASE(GemmLadder, TensorCoresInLargeTiles) {
  for (int transposes = 0; transposes < 4; ++transposes) {
    check({376, 120, 40}, transposes % 2 == 0 ? DType::f16 : DType::bf16, 1, flags(transposes | 4),
          "tensor_core", {8, 8, 4});
  }
  check({120, 248, 168}, DType::f16, 2, flags(10), "tensor_core", {0, 0, 3});
}

// As many tiles of 128 x 256 as there are multiprocessors, in each direction: of more slabs than
// stages, of one, and of none.
GPU_CASE(GemmLadder, TensorCoresInWideTiles) {
  for (int transposes = 0; transposes < 4; ++transposes) {
    check({376, 248, 136}, transposes % 2 == 0 ? DType::bf16 : DType::f16, 1, flags(transposes | 8),
          "tensor_core", {8, 8, 4});
  }
  check({120, 504, 24}, DType::f16, 2, flags(10), "tensor_core", {8, 8, 3});
  check({376, 250, 0}, DType::bf16, 1, flags(4), "tensor_core", {0, 0, 2});
}

// Seventeen slabs in parts of nine and eight, and one product in parts of eight.
GPU_CASE(GemmLadder, TensorCoresSplitALongDepth) {
  check({9, 7, 520}, DType::f16, 1, flags(4), "tensor_core", {0, 0, 3});
  check({8, 12, 544}, DType::bf16, 2, flags(14), "tensor_core", {8, 8, 4});
}

// Eleven parts of nine slabs: more than one thread adds.
GPU_CASE(GemmLadder, TensorCoresSplitALongDepthInManyParts) {
  check({9, 7, 3080}, DType::f16, 1, flags(4), "tensor_core", {0, 0, 3});
  check({8, 12, 3080}, DType::bf16, 1, flags(14), "tensor_core", {8, 8, 4});
}

// The parts are added in their order, whoever is ready first.
TEST(GemmLadder, ASplitSumHasTheSameBitsHundredTimes) {
  const DeviceArray a(DType::f16, random_doubles(DType::f16, 24 * 800, 1));
  const DeviceArray b(DType::f16, random_doubles(DType::f16, 800 * 16, 2));
  const DeviceArray c(DType::f16, 24 * 16);
  const Gemm op = dense_gemm(24, 16, 800, a.data(), false, b.data(), false, c.data(), DType::f16);
  EXPECT_EQ(on_sim::plan_rung(op, kSimDevice, "tensor_core").workspace_bytes, 3u * 24 * 16 * 4);
  run_rung(op, "tensor_core");
  const std::vector<double> first = c.values();
  const sim::Options before = sim::options();
  for (std::uint64_t seed = 1; seed <= seeds(100); ++seed) {
    sim::options() = {.schedule = sim::Schedule::seeded, .async = sim::Async::seeded, .seed = seed};
    run_rung(op, "tensor_core");
    expect_equal(c, first, "split");
  }
  sim::options() = before;
}

// One row against four columns: a sum is rounded at its end, overflows to infinity there alone, and
// infinities and NaN reach what uses them, tiles' overhang aside.
GPU_CASE(GemmLadder, LargestValuesInfinityAndNan) {
  constexpr double kLargest = 65504, kInfinity = std::numeric_limits<double>::infinity();
  const DeviceArray a(DType::f16, {kLargest, kLargest, 1});
  const DeviceArray b(DType::f16, {1, 1, kInfinity, 0,  //
                                   -1, 1, 0, 0,         //
                                   kLargest, 0, 0, std::nan("")});
  for (const char* rung : variants(Gemm{.dtype = DType::f16}, case_device())) {
    const DeviceArray c(DType::f16, 4);
    run_rung(dense_gemm(1, 4, 3, a.data(), false, b.data(), false, c.data(), DType::f16), rung);
    expect_close(c, {kLargest, kInfinity, kInfinity, std::nan("")}, sum_bound(3), rung);
  }
}

// Dense rows of whole runs that begin anywhere.
GPU_CASE(GemmLadder, TensorCoresTakeOperandsThatAreNotAligned) {
  constexpr std::int64_t kN = 16, kK = 24;
  const auto a = random_doubles(DType::f16, 2 + 8 * kK, 1);
  const auto b = random_doubles(DType::f16, 1 + kK * kN, 2);
  const DeviceArray da(DType::f16, a), db(DType::f16, b), c(DType::f16, 1 + 8 * kN);
  Gemm op = dense_gemm(8, kN, kK, da.as<F16>() + 2, false, db.as<F16>() + 1, false, c.as<F16>() + 1,
                       DType::f16);
  run_rung(op, "tensor_core");
  auto want = reference::gemm(8, kN, kK, {a.begin() + 2, a.end()}, false, kK,
                              {b.begin() + 1, b.end()}, false, kN);
  const auto found = c.values();
  expect_close({found.begin() + 1, found.end()}, DType::f16, want, sum_bound(kK), "not aligned");
}

// What a weight's gradient is: of half operands, rounded to f32 alone.
GPU_CASE(GemmLadder, HalfFactorsMayHaveAnF32Product) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const char* rung : variants(Gemm{.dtype = dtype}, case_device())) {
      for (const int bits : {1, 2, 12}) {
        check({33, 17, 31}, dtype, 2, flags(bits), rung, {}, DType::f32);
      }
    }
    check({9, 8, 520}, dtype, 1, flags(13), "tensor_core", {8, 8, 4}, DType::f32);
  }
}

// Packs of four f16 would fit here, and four f32 do not.
GPU_CASE(GemmLadder, F32ProductsInPacksAreAligned) {
  const auto a = random_doubles(DType::f16, 8 * 16, 1), b = random_doubles(DType::f16, 16 * 8, 2);
  const DeviceArray da(DType::f16, a), db(DType::f16, b), c(DType::f32, 2 + 8 * 8);
  Gemm op = dense_gemm(8, 8, 16, da.data(), false, db.data(), false, c.as<float>() + 2, DType::f16);
  op.out_dtype = DType::f32;
  run_rung(op, "tensor_core");
  const auto found = c.values();
  expect_close({found.begin() + 2, found.end()}, DType::f32,
               reference::gemm(8, 8, 16, a, false, 16, b, false, 8), sum_bound(16), "not aligned");
}

GPU_CASE(GemmLadder, OneFactorMayServeTheWholeBatch) {
  const auto a = random_doubles(DType::f32, 2 * 6, 1), b = random_doubles(DType::f32, 3 * 4, 2);
  const DeviceArray da(DType::f32, a), db(DType::f32, b);
  for (const char* rung : variants(Gemm{}, case_device())) {
    const DeviceArray c(DType::f32, 2 * 8);
    Gemm op = dense_gemm(2, 4, 3, da.data(), false, db.data(), false, c.data(), DType::f32);
    op.batch = 2, op.stride_a = 6, op.stride_c = 8;
    run_rung(op, rung);
    // With one b for all, the batch is one product with more rows.
    expect_close(c, reference::gemm(4, 4, 3, a, false, 3, b, false, 4), sum_bound(3), rung);
  }
}

GPU_CASE(GemmLadder, TheSameCallGivesTheSameBits) {
  const DeviceArray a(DType::f32, random_doubles(DType::f32, 65 * 40, 1));
  const DeviceArray b(DType::f32, random_doubles(DType::f32, 40 * 33, 2));
  for (const char* rung : variants(Gemm{}, case_device())) {
    const DeviceArray first(DType::f32, 65 * 33), again(DType::f32, 65 * 33);
    for (const DeviceArray* c : {&first, &again}) {
      run_rung(dense_gemm(65, 33, 40, a.data(), false, b.data(), false, c->data(), DType::f32),
               rung);
    }
    expect_equal(again, first.values(), rung);
  }
}

TEST(GemmLadder, ThePlanFollowsTheShape) {
  const auto variant = [](std::int64_t M, std::int64_t N) {
    return std::string(plan(Gemm{.M = M, .N = N, .K = 1}, kSimDevice).variant);
  };
  EXPECT_EQ(variant(33, 33), "warp_tile");
  EXPECT_EQ(variant(32, 100), "shared_tile");
  EXPECT_EQ(variant(100, 32), "shared_tile");
  EXPECT_EQ(variant(std::int64_t{1} << 31, 1), "naive");
}

TEST(GemmLadder, BadInputIsRefused) {
  const auto text = [](DType dtype, const char* rung) {
    return error_of([&] { on_sim::plan_rung(Gemm{.dtype = dtype}, kSimDevice, rung); });
  };
  expect_says(text(DType::i32, "naive"), "gemm: dtype expects f32, f16 or bf16, found i32");
  expect_says(text(DType::f32, "none"),
              "gemm: variant expects naive, shared_tile, register_tile, warp_tile, tensor_core or "
              "wgmma, found none");
  EXPECT_THROW(plan(Gemm{.dtype = DType::f64}, kSimDevice), Error);
  const auto out_text = [](DType dtype, DType out) {
    return error_of([&] { plan(Gemm{.dtype = dtype, .out_dtype = out}, kSimDevice); });
  };
  expect_says(out_text(DType::f16, DType::bf16), "gemm: out_dtype expects f16 or f32, found bf16");
  expect_says(out_text(DType::f32, DType::f16), "gemm: out_dtype expects f32, found f16");
}

}  // namespace
}  // namespace convoy::testing
