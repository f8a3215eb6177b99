// SPDX-License-Identifier: MIT
// Lanes that part and meet, barriers, memory, what is asynchronous, and what is refused.
#include <gtest/gtest.h>

#include "tests/kernels/ptx/run_text.h"

namespace convoy::ptx {
namespace {

using Results = std::vector<std::uint64_t>;

std::string fault_of(const std::string& lines, const How& how = {}) try {
  run_lines(lines, how);
  return "none";
} catch (const std::runtime_error& fault) {
  return fault.what();
}
void expect_fault(const std::string& lines, const std::string& part, const How& how = {}) {
  const std::string found = fault_of(lines, how);
  EXPECT_NE(found.find(part), std::string::npos) << found;
}

TEST(PtxMachine, LanesThatPartMeetAgain) {
  // Odd lanes go round a loop as often as their number says; then all exchange.
  const Results found = run_lines(R"(
    mov.u32 %r4, 0;
    and.b32 %r5, %r1, 1;
    setp.eq.s32 %p0, %r5, 0;
    @%p0 bra MET;
    LOOP:
    add.s32 %r4, %r4, 3;
    sub.s32 %r6, %r1, %r4;
    setp.gt.s32 %p1, %r6, 0;
    @%p1 bra LOOP;
    MET:
    shfl.sync.bfly.b32 %r7|%p2, %r4, 1, 31, -1;
    cvt.u64.u32 %rd0, %r7;)");
  for (std::uint64_t lane = 0; lane < 32; ++lane) {
    const std::uint64_t other = lane ^ 1;
    EXPECT_EQ(found[lane], other % 2 == 0 ? 0 : (other + 2) / 3 * 3) << lane;
  }
}

TEST(PtxMachine, AllLearnWhoVotedForIt) {
  // Every third lane votes, one of which comes by another way.
  const Results found = run_lines(R"(
    rem.u32 %r4, %r1, 3;
    setp.eq.s32 %p0, %r4, 0;
    setp.ne.s32 %p1, %r1, 9;
    @%p1 bra MET;
    mov.u32 %r5, 1;
    MET:
    vote.sync.ballot.b32 %r6, %p0, -1;
    cvt.u64.u32 %rd0, %r6;)");
  for (const std::uint64_t result : found) EXPECT_EQ(result, 0x49249249u);
}

TEST(PtxMachine, WhoWaitsForLanesThatNeverComeIsNamed) {
  expect_fault(R"(
    setp.lt.s32 %p0, %r1, 16;
    @%p0 bra SKIP;
    shfl.sync.idx.b32 %r7, %r1, 0, 31, -1;
    bra DONE;
    SKIP:
    bar.sync 1, 64;
    DONE:)",
               "16 lanes at shfl.sync.idx.b32");
}

TEST(PtxMachine, ABlocksBarrierIsForAllThatLive) {
  // Each thread reads what its neighbour in the next warp has left; half of the last warp has gone.
  const char* const lines = R"(
    mov.u32 %r5, dynamic;
    shl.b32 %r4, %r1, 2;
    add.s32 %r5, %r5, %r4;
    st.shared.u32 [%r5], %r1;
    setp.gt.s32 %p0, %r1, 79;
    @%p0 ret;
    bar.sync 0;
    xor.b32 %r6, %r1, 32;
    mov.u32 %r5, dynamic;
    mad.lo.s32 %r5, %r6, 4, %r5;
    ld.shared.u32 %r7, [%r5];
    cvt.u64.u32 %rd0, %r7;)";
  const Results found = run_lines(lines, {.block = {96, 1, 1}});
  for (std::uint64_t thread = 0; thread < 64; ++thread) EXPECT_EQ(found[thread], thread ^ 32);
}

TEST(PtxMachine, ANamedBarrierCountsThoseWhoArriveAndThoseWhoWait) {
  const char* const lines = R"(
    mov.u32 %r5, dynamic;
    setp.lt.s32 %p0, %r1, 32;
    @%p0 bra PRODUCER;
    bar.sync 3, 64;
    ld.shared.u32 %r7, [%r5];
    cvt.u64.u32 %rd0, %r7;
    bra DONE;
    PRODUCER:
    st.shared.u32 [%r5], 77;
    bar.arrive 3, 64;
    DONE:)";
  const Results found = run_lines(lines, {.block = {64, 1, 1}});
  EXPECT_EQ(found[0], 0u);
  EXPECT_EQ(found[63], 77u);
}

TEST(PtxMachine, BlocksOfAClusterReadOneAnother) {
  const char* const lines = R"(
    mov.u32 %r4, dynamic;
    add.s32 %r6, %r2, 100;
    st.shared.u32 [%r4], %r6;
    barrier.cluster.arrive.release;
    barrier.cluster.wait.acquire;
    mov.u32 %r7, %cluster_ctarank;
    xor.b32 %r7, %r7, 1;
    mapa.shared::cluster.u32 %r8, %r4, %r7;
    ld.shared::cluster.u32 %r9, [%r8];
    cvt.u64.u32 %rd0, %r9;)";
  const Results found = run_lines(lines, {.grid = {4, 1, 1}, .cluster = 2});
  EXPECT_EQ(found[0], 101u);
  EXPECT_EQ(found[32], 100u);
  EXPECT_EQ(found[64], 103u);
}

TEST(PtxMachine, AnMbarrierEndsAPhaseWhenAllHaveArrived) {
  const char* const lines = R"(
    mov.u32 %r4, dynamic;
    setp.ne.s32 %p0, %r1, 0;
    @%p0 bra READY;
    mbarrier.init.shared::cta.b64 [%r4], 32;
    READY:
    bar.sync 0;
    setp.lt.s32 %p1, %r1, 32;
    @%p1 mbarrier.arrive.shared::cta.b64 _, [%r4];
    WAIT:
    mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r4], 0;
    @!%p2 bra WAIT;
    mbarrier.try_wait.parity.shared::cta.b64 %p3, [%r4], 1;
    selp.u64 %rd0, 1, 2, %p3;)";
  EXPECT_EQ(run_lines(lines, {.block = {64, 1, 1}}), Results(64, 2));
}

// A copy that nobody has waited for has not been made.
TEST(PtxMachine, CopiesAreMadeWhenTheyAreWaitedFor) {
  const std::string begin = R"(
    st.global.u64 [%rd1], 42;
    mov.u32 %r4, dynamic;
    mad.lo.s32 %r4, %r1, 8, %r4;
    cp.async.ca.shared.global [%r4], [%rd1], 8, 4;
    cp.async.commit_group;
    cp.async.commit_group;)";
  const std::string end = "ld.shared.u64 %rd0, [%r4];";
  EXPECT_EQ(run_lines(begin + end), Results(32, ~std::uint64_t{0}));
  EXPECT_EQ(run_lines(begin + "cp.async.wait_group 2;" + end), Results(32, ~std::uint64_t{0}));
  EXPECT_EQ(run_lines(begin + "cp.async.wait_group 1;" + end), Results(32, 42));
  EXPECT_EQ(run_lines(begin + "cp.async.wait_all;" + end), Results(32, 42));
}

TEST(PtxMachine, BlocksOfAResidentLaunchWaitForOneAnother) {
  // Block 0 waits for what block 1, which comes later, writes.
  const char* const lines = R"(
    setp.eq.s32 %p0, %r2, 1;
    @%p0 bra WRITE;
    WAIT:
    ld.acquire.gpu.global.b32 %r4, [%rd1+256];
    setp.ne.s32 %p1, %r4, 7;
    @%p1 bra WAIT;
    mov.u64 %rd0, 1;
    bra DONE;
    WRITE:
    st.release.gpu.global.b32 [%rd1+256], 7;
    mov.u64 %rd0, 7;
    DONE:)";
  const How how{.grid = {2, 1, 1}, .resident = true};
  EXPECT_EQ(run_lines(lines, how)[0], 1u);
}

TEST(PtxMachine, AtomicsTakeLanesOneByOne) {
  const Results found = run_lines(R"(
    mov.u32 %r4, dynamic;
    st.shared.u32 [%r4], 5;
    atom.shared.add.u32 %r5, [%r4], 2;
    cvt.u64.u32 %rd0, %r5;)");
  for (std::uint64_t lane = 0; lane < 32; ++lane) EXPECT_EQ(found[lane], 5 + 2 * lane);
}

TEST(PtxMachine, MemoryIsWatched) {
  expect_fault("ld.global.u32 %r4, [%rd1+256];", "outside of the device's memory");
  expect_fault("st.global.u32 [%rd1+-4], 0;", "outside of the device's memory");
  expect_fault("mov.u32 %r4, dynamic; ld.shared.u32 %r5, [%r4+1024];", "shared address 2048");
  expect_fault("ld.global.u32 %r4, [%rd1+2];", "expects a multiple of 4");
  expect_fault("ld.global.v2.u32 {%r4, %r5}, [%rd1+4];", "expects a multiple of 8");
  expect_fault("ld.global.u32 %r4, [%rd9];", "expects a multiple of 4");  // never written
}

TEST(PtxMachine, WhatWasNotWrittenIsNoNumber) {
  const Results found = run_lines(R"(
    mov.u32 %r4, dynamic;
    ld.shared.f32 %f0, [%r4];
    setp.nan.f32 %p0, %f0, %f0;
    setp.nan.f32 %p1, %f5, %f5;
    and.pred %p2, %p0, %p1;
    selp.u64 %rd0, 1, 0, %p2;)");
  EXPECT_EQ(found, Results(32, 1));
}

TEST(PtxMachine, AnUnknownInstructionFailsWhenItIsReached) {
  const std::string lines = "setp.gt.s32 %p0, %r1, 99; @%p0 bra HERE; bra DONE; HERE: ";
  EXPECT_EQ(fault_of(lines + "frobnicate.b32 %r4, %r4; DONE: "), "none");
  expect_fault("frobnicate.b32 %r4, %r4;", "not known to the machine, at: frobnicate.b32");
  expect_fault("mov.u32 %r4, %unheard_of;", "%unheard_of");
  expect_fault("mov.u32 %r4, nothing;", "name nothing");
  expect_fault("bra NOWHERE;", "label NOWHERE");
}

TEST(PtxMachine, NamesOfAnInnerScopeHideOuterOnes) {
  const Results found = run_lines(R"(
    mov.u32 %r4, 1;
    { .reg .b32 %r4; mov.u32 %r4, 2; }
    cvt.u64.u32 %rd0, %r4;)");
  EXPECT_EQ(found, Results(32, 1));
}

TEST(PtxMachine, ALaneHasMemoryOfItsOwn) {
  const Results found = run_lines(R"(
    .local .align 8 .b8 depot[16];
    mov.u64 %rd3, depot;
    cvta.local.u64 %rd4, %rd3;
    st.local.u32 [%rd3+8], %r1;
    ld.u32 %r4, [%rd4+8];
    cvt.u64.u32 %rd0, %r4;)");
  for (std::uint64_t lane = 0; lane < 32; ++lane) EXPECT_EQ(found[lane], lane);
}

}  // namespace
}  // namespace convoy::ptx
