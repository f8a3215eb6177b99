// SPDX-License-Identifier: MIT
// Turns of banks and sectors, counted by hand.
#include <gtest/gtest.h>

#include "tests/kernels/ptx/run_text.h"

namespace convoy::ptx {
namespace {

// Lane l stands `stride` bytes behind lane l - 1.
Tally of_shared(int stride, const std::string& access) {
  Tally total;
  How how;
  how.dynamic_shared = 32 * 512, how.total = &total;
  run_lines(
      "mov.u32 %r4, dynamic;\nmad.lo.s32 %r5, %r1, " + std::to_string(stride) + ", %r4;\n" + access,
      how);
  total.sectors -= 8, total.least_sectors -= 8;  // the result of each lane
  return total;
}
const char* const kFloat = "ld.shared.f32 %f1, [%r5];";
const char* const kTwo = "ld.shared.v2.f32 {%f1, %f2}, [%r5];";
const char* const kFour = "st.shared.v4.f32 [%r5], {%f1, %f2, %f3, %f4};";

TEST(PtxCounts, NeighboursTakeOneTurn) {
  EXPECT_EQ(of_shared(4, kFloat).parts, 1U);
  EXPECT_EQ(of_shared(4, kFloat).turns, 1U);
  EXPECT_EQ(of_shared(8, kTwo).parts, 2U);
  EXPECT_EQ(of_shared(8, kTwo).turns, 2U);
  EXPECT_EQ(of_shared(16, kFour).parts, 4U);
  EXPECT_EQ(of_shared(16, kFour).turns, 4U);
}

TEST(PtxCounts, LanesThatReadOneWordTakeOneTurn) {
  EXPECT_EQ(of_shared(0, kFloat).turns, 1U);
  EXPECT_EQ(of_shared(0, kTwo).turns, 2U);
}

TEST(PtxCounts, WordsOfOneBankTakeATurnEach) {
  EXPECT_EQ(of_shared(8, kFloat).turns, 2U);
  EXPECT_EQ(of_shared(12, kFloat).turns, 1U);  // three and 32 have no divisor in common
  EXPECT_EQ(of_shared(128, kFloat).turns, 32U);
  EXPECT_EQ(of_shared(16, kTwo).turns, 4U);   // of each half of the warp two
  EXPECT_EQ(of_shared(32, kFour).turns, 8U);  // of each eight lanes two
  EXPECT_EQ(of_shared(2, "ld.shared.u16 %rs1, [%r5];").turns, 1U);
}

TEST(PtxCounts, AMatrixIsAPart) {
  const std::string load = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r6, %r7, %r8, %r9}, [%r5];";
  EXPECT_EQ(of_shared(16, load).parts, 4U);
  EXPECT_EQ(of_shared(16, load).turns, 4U);
  EXPECT_EQ(of_shared(128, load).turns, 32U);
  EXPECT_EQ(of_shared(144, load).turns, 4U);  // rows of 64 halves, and 8 between them
  const std::string two = "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r6, %r7}, [%r5];";
  EXPECT_EQ(of_shared(64, two).parts, 2U);
  EXPECT_EQ(of_shared(64, two).turns, 8U);
}

TEST(PtxCounts, EveryInstructionOfEveryWarp) {
  const auto times = [](const std::string& lines, unsigned threads) {
    Tally total;
    How how;
    how.block.x = threads, how.total = &total;
    run_lines(lines, how);
    return total.times;
  };
  const std::uint64_t none = times("", 32);
  EXPECT_EQ(times("add.s32 %r4, %r1, 1;\nadd.s32 %r4, %r4, 1;", 32), none + 2);
  EXPECT_EQ(times("add.s32 %r4, %r1, 1;", 80), 3 * (none + 1));
}

TEST(PtxCounts, OnlyLanesThatAreThereCount) {
  const std::string half = "setp.lt.u32 %p0, %r1, 16;\n@%p0 ld.shared.f32 %f1, [%r5];";
  EXPECT_EQ(of_shared(128, half).turns, 16U);
}

// Results are 8 bytes each: 8 sectors of a warp.
Tally of_global(const std::string& place) {
  Tally total;
  How how;
  how.total = &total;
  run_lines(place + "\nld.global.f32 %f1, [%rd3];", how);
  total.sectors -= 8, total.least_sectors -= 8;
  return total;
}

TEST(PtxCounts, SectorsOfAWarp) {
  EXPECT_EQ(of_global("mul.wide.u32 %rd2, %r1, 4;\nadd.s64 %rd3, %rd1, %rd2;").sectors, 4U);
  const Tally apart = of_global("mul.wide.u32 %rd2, %r1, 8;\nadd.s64 %rd3, %rd1, %rd2;");
  EXPECT_EQ(apart.sectors, 8U);
  EXPECT_EQ(apart.least_sectors, 4U);
  EXPECT_EQ(of_global("mov.u64 %rd3, %rd1;").sectors, 1U);
}

TEST(PtxCounts, ACopyCountsWhereItIsReadAndWhereItIsWritten) {
  Tally total;
  How how;
  how.total = &total;
  run_lines(R"(
    mov.u32 %r4, dynamic;
    mad.lo.s32 %r5, %r1, 16, %r4;
    and.b32 %r6, %r1, 15;
    mul.wide.u32 %rd2, %r6, 16;
    add.s64 %rd3, %rd1, %rd2;
    cp.async.cg.shared.global [%r5], [%rd3], 16;
    cp.async.wait_all;)",
            how);
  EXPECT_EQ(total.turns, 4U);
  EXPECT_EQ(total.sectors, 8U + 8U);  // 16 places of 16 bytes; and the results
}

}  // namespace
}  // namespace convoy::ptx
