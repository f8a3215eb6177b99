// SPDX-License-Identifier: MIT
// gemm by cuBLASLt, with a stand-in for the library: that what it is asked for, column by column,
// is the op.
#include "kernels/vendor/gemm.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "kernels/half.h"
#include "tests/kernels/gpu/gemm_check.h"
#include "tests/support/gpu_case.h"

namespace convoy::testing {
namespace {

constexpr Device kCuda{DeviceType::cuda};

// Before anything looks for the library.
[[maybe_unused]] const bool stand_in = setenv("CONVOY_CUBLASLT_PATH", CONVOY_FAKE_CUBLASLT, 1) == 0;

int heuristic_calls() {
  void* const library = dlopen(CONVOY_FAKE_CUBLASLT, RTLD_NOW | RTLD_NOLOAD);
  return library == nullptr ? 0 : *static_cast<int*>(dlsym(library, "fake_heuristic_calls"));
}

void run_variant(const Gemm& op, const char* variant) {
  const Plan plan = vendor::plan(op, kCuda, variant);
  EXPECT_STREQ(plan.variant, variant);
  const DeviceArray workspace(DType::u8, static_cast<std::int64_t>(plan.workspace_bytes));
  vendor::run(op, plan, workspace.data(), Stream{kCuda});
}

// Every combination of transposes, bias, accumulation, residual and ReLU, in a batch whose rows
// have gaps.
TEST(VendorGemm, IsTheProduct) {
  for_each_dtype([](DType dtype) {
    for (int bits = 0; bits < 64; ++bits) {
      if (flags(bits).accumulate && flags(bits).residual) continue;  // not one of the library's
      for (const Sizes& s : {Sizes{1, 1, 1}, Sizes{5, 7, 3}, Sizes{33, 17, 31}}) {
        for (const char* variant : {"vendor", "vendor_2"}) {
          check_product(
              s, dtype, 2, flags(bits), [&](const Gemm& op) { run_variant(op, variant); }, variant);
        }
      }
    }
  });
}

TEST(VendorGemm, HalvesMayHaveAnF32Result) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const int bits : {0, 3, 8}) {
      check_product(
          {9, 6, 11}, dtype, 1, flags(bits), [](const Gemm& op) { run_variant(op, "vendor"); },
          "vendor", {}, DType::f32);
    }
  }
}

// Addresses stand for operands: nothing is read.
Gemm plain(std::int64_t M, std::int64_t N, std::int64_t K, DType dtype = DType::f32) {
  alignas(64) static unsigned char memory[4096];
  return dense_gemm(M, N, K, memory, false, memory, false, memory, dtype);
}

TEST(VendorGemm, ListsWhatTheLibraryCanRun) {
  // The stand-in's second algorithm says that it is not supported.
  EXPECT_EQ(vendor::variants(plain(8, 8, 8), kCuda, 8).size(), 2u);
  EXPECT_EQ(vendor::variants(plain(8, 8, 8), kCuda, 1).size(), 1u);
  EXPECT_EQ(vendor::variants(plain(8, 8, 8), kCuda, 0).size(), 0u);
}

TEST(VendorGemm, ListsNothingForWhatTheLibraryLacks) {
  EXPECT_TRUE(vendor::variants(plain(8, 8, 8, DType::f64), kCuda, 8).empty());
  EXPECT_TRUE(vendor::variants(plain(0, 8, 8), kCuda, 8).empty());
  EXPECT_TRUE(vendor::variants(plain(8, 8, 0), kCuda, 8).empty());
  Gemm op = plain(8, 8, 8, DType::f16);
  op.out_dtype = DType::f32, op.epilogue.bias = op.a;  // its bias has the result's dtype
  EXPECT_TRUE(vendor::variants(op, kCuda, 8).empty());
  EXPECT_THROW(vendor::plan(op, kCuda, "vendor"), Error);
  op = plain(8, 8, 8, DType::f16), op.epilogue.bias = static_cast<const F16*>(op.a) + 8;
  EXPECT_FALSE(vendor::variants(op, kCuda, 8).empty());
  op.epilogue.bias = static_cast<const F16*>(op.a) + 1;  // what its epilogue takes is in packs
  EXPECT_TRUE(vendor::variants(op, kCuda, 8).empty());
  op = plain(8, 8, 8), op.epilogue.residual = op.a, op.accumulate = true;
  EXPECT_TRUE(vendor::variants(op, kCuda, 8).empty());
  float mean = 0;
  op = plain(8, 8, 8), op.epilogue.statistics.mean = &mean;
  EXPECT_TRUE(vendor::variants(op, kCuda, 8).empty());
  EXPECT_THROW(vendor::plan(plain(8, 8, 8), kCuda, "vendor_3"), Error);
  EXPECT_THROW(vendor::plan(plain(8, 8, 8), kCuda, "naive"), Error);
}

TEST(VendorGemm, AsksOnceForOpsThatAreAlike) {
  Gemm op = plain(40, 8, 8);
  vendor::variants(op, kCuda, 8);
  const int calls = heuristic_calls();
  ASSERT_GT(calls, 0);
  const Plan first = vendor::plan(op, kCuda, "vendor"), second = vendor::plan(op, kCuda, "vendor");
  EXPECT_EQ(first.state, second.state);
  EXPECT_EQ(heuristic_calls(), calls);
  op.accumulate = true;
  vendor::variants(op, kCuda, 8);
  EXPECT_EQ(heuristic_calls(), calls + 1);
  op.a = static_cast<const unsigned char*>(op.a) + 4;  // less aligned
  vendor::variants(op, kCuda, 8);
  EXPECT_EQ(heuristic_calls(), calls + 2);
}

TEST(VendorGemm, AFailureCarriesTheLibrarysText) {
  Gemm op = plain(8, 8, 8);
  op.ldb = 4;  // the stand-in refuses it
  try {
    vendor::variants(op, kCuda, 8);
    FAIL() << "expected an Error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "cublaslt: choosing an algorithm: an unsupported value "
                 "(CUBLAS_STATUS_INVALID_VALUE)");
  }
}

}  // namespace
}  // namespace convoy::testing
