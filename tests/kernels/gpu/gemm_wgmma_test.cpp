// SPDX-License-Identifier: MIT
// The rung wgmma of gemm: copy engine, mbarriers, named barriers, asynchronous products. Every
// schedule, every time of completion.
#include "kernels/sim/options.h"
#include "tests/kernels/gpu/gemm_check.h"
#include "tests/support/seeds.h"

namespace convoy::testing {
namespace {

GPU_CASE(GemmWgmma, EachTransposeInRaggedTiles) {
  NEEDS_WGMMA();
  for (int transposes = 0; transposes < 4; ++transposes) {
    check_wgmma({150, 136, 136}, DType::f16, 1, flags(transposes | 4));
  }
  check_wgmma({150, 136, 72}, DType::bf16, 1, flags(2));
}

GPU_CASE(GemmWgmma, EachTransposeInWideTiles) {
  NEEDS_WGMMA();
  for (int transposes = 0; transposes < 4; ++transposes) {
    check_wgmma({129, 264, 72}, DType::bf16, 1, flags(transposes | 4));
  }
}

GPU_CASE(GemmWgmma, OneOfEverything) {
  NEEDS_WGMMA();
  for (int bits = 0; bits < 16; ++bits) check_wgmma({1, 1, 1}, DType::f16, 1, flags(bits));
  check_wgmma({1, 70, 9}, DType::bf16, 1, flags(4));
  check_wgmma({70, 1, 65}, DType::f16, 1, flags(2));
}

// Through shared memory, and what the copy engine does not store.
GPU_CASE(GemmWgmma, AccumulatesAndStoresAnywhere) {
  NEEDS_WGMMA();
  check_wgmma({70, 72, 40}, DType::bf16, 2, flags(8 | 4));
  check_wgmma({70, 67, 40}, DType::f16, 2, flags(8 | 4));
  check_wgmma({70, 67, 40}, DType::bf16, 1, flags(2 | 4), Rows::ragged);
  check_wgmma({129, 131, 40}, DType::f16, 1, flags(1 | 8), Rows::aligned, DType::f32);
  check_wgmma({66, 257, 24}, DType::bf16, 3, flags(4), Rows::ragged, DType::f32);
}

// More rows of tiles than are taken together, more tiles than blocks, several products.
GPU_CASE(GemmWgmma, ManyTiles) {
  NEEDS_WGMMA();
  check_wgmma({1160, 130, 8}, DType::f16, 1, flags(2));
  check_wgmma({130, 40, 72}, DType::bf16, 3, flags(4));
}

GPU_CASE(GemmWgmma, OneFactorMayServeTheWholeBatch) {
  NEEDS_WGMMA();
  const auto a = random_doubles(DType::f16, 2 * 8 * 16, 1);
  const auto b = random_doubles(DType::f16, 16 * 24, 2);
  const DeviceArray da(DType::f16, a), db(DType::f16, b), c(DType::f16, 2 * 8 * 24);
  Gemm op = dense_gemm(8, 24, 16, da.data(), false, db.data(), false, c.data(), DType::f16);
  op.batch = 2, op.stride_a = 8 * 16, op.stride_c = 8 * 24;
  run_rung(op, "wgmma");
  // With one b for all, the batch is one product with more rows.
  expect_close(c, reference::gemm(16, 24, 16, a, false, 16, b, false, 24), sum_bound(16), "wgmma");
}

TEST(GemmWgmma, IsRightOverFiftySeeds) {
  NEEDS_WGMMA();
  const sim::Options before = sim::options();
  for (std::uint64_t seed = 0; seed < seeds(50); ++seed) {
    sim::options() = {.schedule = sim::Schedule::seeded, .async = sim::Async::seeded, .seed = seed};
    check_wgmma({150, 136, 136}, DType::f16, 1, flags(2 | 4));
  }
  sim::options() = before;
}

TEST(GemmWgmma, IsListedWhereTheCopyEngineTakesTheRows) {
  const auto listed = [](Gemm op) {
    for (const char* rung : on_sim::rungs(op)) {
      if (std::string_view(rung) == "wgmma") return true;
    }
    return false;
  };
  const Gemm fits = dense_gemm(64, 64, 64, nullptr, false, nullptr, false, nullptr, DType::f16);
  EXPECT_TRUE(listed(fits));
  const auto but = [&](auto change) {
    Gemm op = fits;
    change(op);
    return listed(op);
  };
  alignas(16) static char bytes[32];
  EXPECT_FALSE(but([](Gemm& op) { op.dtype = DType::f32; }));
  EXPECT_FALSE(but([](Gemm& op) { op.K = 0; }));
  EXPECT_FALSE(but([](Gemm& op) { op.a = bytes + 2; }));
  EXPECT_FALSE(but([](Gemm& op) { op.b = bytes + 8; }));
  EXPECT_FALSE(but([](Gemm& op) { op.lda = 68; }));
  EXPECT_FALSE(but([](Gemm& op) { op.ldb = 68; }));
  EXPECT_FALSE(but([](Gemm& op) { op.batch = 2, op.stride_a = 4; }));
  EXPECT_TRUE(but([](Gemm& op) { op.stride_a = 4; }));
}

// Large tiles are worth it where there is one for each of the three multiprocessors.
TEST(GemmWgmma, ThePlanTakesItForManyTiles) {
  const auto variant = [](std::int64_t M) {
    const Gemm op = dense_gemm(M, 64, 64, nullptr, false, nullptr, false, nullptr, DType::bf16);
    return std::string(plan(op, kSimDevice).variant);
  };
  EXPECT_EQ(variant(257), "wgmma");
  EXPECT_EQ(variant(256), "tensor_core");
}

}  // namespace
}  // namespace convoy::testing
