// SPDX-License-Identifier: MIT
// What instructions on registers give: bits worked out by hand, after the manual.
#include <gtest/gtest.h>

#include "tests/kernels/ptx/run_text.h"

namespace convoy::ptx {
namespace {

struct Case {
  std::string lines;
  std::uint64_t expected;
};

// What the lines leave in %r9, %f9, %rd9 or %fd9.
void expect_r(const std::vector<Case>& cases, const std::string& end) {
  for (const auto& [lines, expected] : cases) {
    EXPECT_EQ(run_lines(lines + end).at(7), expected) << lines;
  }
}
void expect32(const std::vector<Case>& cases) { expect_r(cases, " cvt.u64.u32 %rd0, %r9;"); }
void expect64(const std::vector<Case>& cases) { expect_r(cases, " mov.u64 %rd0, %rd9;"); }
void expect_f32(const std::vector<Case>& cases) {
  expect_r(cases, " mov.b32 %r9, %f9; cvt.u64.u32 %rd0, %r9;");
}
void expect_f64(const std::vector<Case>& cases) { expect_r(cases, " mov.b64 %rd0, %fd9;"); }

TEST(PtxArithmetic, Integers) {
  expect32({{"add.s32 %r9, 2147483647, 1;", 0x80000000},
            {"sub.s32 %r9, 3, 5;", 0xfffffffe},
            {"mul.lo.s32 %r9, -3, 5;", 0xfffffff1},
            {"mul.hi.s32 %r9, -1, 5;", 0xffffffff},
            {"mul.hi.u32 %r9, -1, 5;", 4},
            {"mad.lo.s32 %r9, -3, 5, 16;", 1},
            {"div.s32 %r9, -7, 2;", 0xfffffffd},
            {"div.u32 %r9, -7, 2;", 0x7ffffffc},
            {"div.s32 %r9, -2147483648, -1;", 0x80000000},
            {"rem.s32 %r9, -7, 2;", 0xffffffff},
            {"min.s32 %r9, -1, 1;", 0xffffffff},
            {"min.u32 %r9, -1, 1;", 1},
            {"max.s32 %r9, -1, 1;", 1},
            {"neg.s32 %r9, 5;", 0xfffffffb},
            {"abs.s32 %r9, -5;", 5}});
  expect64({{"mul.wide.s32 %rd9, -2, 3;", 0xfffffffffffffffa},
            {"mul.wide.u32 %rd9, -2, 3;", 0x2fffffffa},
            {"mad.wide.s32 %rd9, -2, 3, 7;", 1},
            {"mul.wide.u16 %r4, 65535, 65535; cvt.u64.u32 %rd9, %r4;", 0xfffe0001},
            {"mul.hi.s64 %rd9, -1, 2;", 0xffffffffffffffff},
            {"rem.u64 %rd9, 17, 5;", 2},
            {"min.s64 %rd9, -4, 4;", 0xfffffffffffffffc}});
}

TEST(PtxArithmetic, Bits) {
  expect32({{"shl.b32 %r9, 1, 31;", 0x80000000},
            {"shl.b32 %r9, 1, 32;", 0},
            {"shr.s32 %r9, -8, 40;", 0xffffffff},
            {"shr.u32 %r9, -8, 1;", 0x7ffffffc},
            {"and.b32 %r9, 12, 10;", 8},
            {"or.b32 %r9, 12, 10;", 14},
            {"xor.b32 %r9, 12, 10;", 6},
            {"not.b32 %r9, 0;", 0xffffffff},
            {"popc.b32 %r9, 255;", 8},
            {"clz.b32 %r9, 255;", 24},
            {"bfi.b32 %r9, 5, 255, 4, 3;", 0xdf},
            {"bfi.b32 %r9, 5, 255, 40, 3;", 255},
            {"mov.u32 %r4, 0x80112233; prmt.b32 %r9, %r4, 0x44556677, 0x0b74;", 0x33ff4477},
            {"setp.eq.s32 %p1, 1, 2; selp.b32 %r9, 5, 6, %p1;", 6}});
  expect64({{"mov.b64 %rd9, {1, 2};", 0x200000001},
            {"mov.u64 %rd4, 0x300000004; mov.b64 {%r4, %r5}, %rd4; mov.b64 %rd9, {%r5, %r4};",
             0x400000003},
            {"mov.u64 %rd4, 0x300000004; mov.b64 {_, %r5}, %rd4; cvt.u64.u32 %rd9, %r5;", 3},
            {"setp.ne.s32 %p1, 1, 2; selp.b64 %rd9, 0x123456789a, 6, %p1;", 0x123456789a},
            {"shl.b64 %rd9, 1, 40;", std::uint64_t{1} << 40}});
}

TEST(PtxArithmetic, Floats) {
  const std::string nan = "0f7fc00000", zero = "0f00000000", minus_zero = "0f80000000";
  expect_f32({{"add.f32 %f9, 0f3f800000, 0f33800000;", 0x3f800000},  // 1 + 2^-24: to even
              {"fma.rn.f32 %f9, 0f3f800001, 0f3f800001, 0fbf800002;", 0x28800000},  // 2^-46
              {"fma.rm.f32 %f9, 0f3f800000, 0fb3000000, 0f3f800000;", 0x3f7fffff},  // 1 - 2^-25
              {"div.rn.f32 %f9, 0f3f800000, 0f40400000;", 0x3eaaaaab},
              {"sqrt.rn.f32 %f9, 0f40000000;", 0x3fb504f3},
              {"rcp.rn.f32 %f9, 0f40800000;", 0x3e800000},
              {"ex2.approx.ftz.f32 %f9, 0f40400000;", 0x41000000},
              {"ex2.approx.ftz.f32 %f9, 0fc3000000;", 0},  // 2^-128
              {"ex2.approx.f32 %f9, 0fc3000000;", 0x00200000},
              {"min.f32 %f9, " + nan + ", 0f3f800000;", 0x3f800000},
              {"max.f32 %f9, 0f3f800000, " + nan + ";", 0x3f800000},
              {"min.f32 %f9, " + zero + ", " + minus_zero + ";", 0x80000000},
              {"max.f32 %f9, " + minus_zero + ", " + zero + ";", 0},
              {"copysign.f32 %f9, " + minus_zero + ", 0f3f800000;", 0xbf800000},
              {"neg.f32 %f9, " + zero + ";", 0x80000000},
              {"abs.f32 %f9, 0fbf800000;", 0x3f800000}});
  expect_f64({{"add.f64 %fd9, 0d3ff0000000000000, 0d3ff0000000000000;", 0x4000000000000000},
              {"rcp.approx.ftz.f64 %fd9, 0d4008000000000000;", 0x3fd5555500000000},
              {"mov.u64 %rd4, 1; setp.eq.s64 %p1, %rd4, 1; mov.f64 %fd4, 0d3ff123456789abcd;"
               "selp.f64 %fd9, %fd4, 0d0000000000000000, %p1;",
               0x3ff123456789abcd}});
}

TEST(PtxArithmetic, ComparisonsWithANan) {
  const struct {
    const char* how;
    bool of_numbers, of_nan;  // 1 and 2; 1 and NaN
  } cases[] = {{"eq", false, false}, {"ne", true, false},  {"lt", true, false},
               {"le", true, false},  {"gt", false, false}, {"ge", false, false},
               {"equ", false, true}, {"neu", true, true},  {"ltu", true, true},
               {"leu", true, true},  {"gtu", false, true}, {"geu", false, true},
               {"num", true, false}, {"nan", false, true}};
  for (const auto& [how, of_numbers, of_nan] : cases) {
    const std::string begin = std::string("setp.") + how + ".f32 %p1, 0f3f800000, ";
    const std::string end = "; selp.b32 %r9, 1, 0, %p1;";
    expect32({{begin + "0f40000000" + end, of_numbers}, {begin + "0f7fc00000" + end, of_nan}});
  }
  expect32({{"setp.lt.s32 %p1, -1, 1; selp.b32 %r9, 1, 0, %p1;", 1},
            {"setp.lt.u32 %p1, -1, 1; selp.b32 %r9, 1, 0, %p1;", 0}});
}

TEST(PtxArithmetic, ConversionsToIntegers) {
  expect32({{"cvt.rzi.s32.f32 %r9, 0fc0200000;", 0xfffffffe},  // -2.5
            {"cvt.rni.s32.f32 %r9, 0fc0200000;", 0xfffffffe},
            {"cvt.rmi.s32.f32 %r9, 0fc0200000;", 0xfffffffd},
            {"cvt.rzi.u32.f32 %r9, 0fc0200000;", 0},
            {"cvt.rzi.s32.f32 %r9, 0f7f800000;", 0x7fffffff},
            {"cvt.rzi.s32.f32 %r9, 0f7fc00000;", 0},
            {"mov.u16 %rs1, 0x80ff; cvt.s32.s8 %r9, %rs1;", 0xffffffff},
            {"mov.u16 %rs1, 0x80ff; cvt.u32.u16 %r9, %rs1;", 0x80ff}});
  expect64({{"cvt.rzi.s64.f32 %rd9, 0f7fc00000;", 0x8000000000000000},
            {"cvt.rni.s64.f64 %rd9, 0d4004000000000000;", 2},  // 2.5
            {"cvt.s64.s32 %rd9, -2;", 0xfffffffffffffffe},
            {"mov.u32 %r4, -2; cvt.u64.u32 %rd9, %r4;", 0xfffffffe}});
}

TEST(PtxArithmetic, ConversionsToFloats) {
  const std::string f16 = "mov.u16 %rs1, ";
  expect_f32({{"cvt.rn.f32.s32 %f9, 16777217;", 0x4b800000},
              {"cvt.rn.f32.f64 %f9, 0d3ff0000010000000;", 0x3f800000},
              {"cvt.rz.f32.f64 %f9, 0dbff0000018000000;", 0xbf800000},
              {"cvt.rn.f32.f64 %f9, 0dbff0000018000000;", 0xbf800001},
              {"cvt.sat.f32.f32 %f9, 0f40000000;", 0x3f800000},
              {"cvt.sat.f32.f32 %f9, 0f7fc00000;", 0},
              {"cvt.rmi.f32.f32 %f9, 0fbe000000;", 0xbf800000},
              {"cvt.rni.f32.f32 %f9, 0f40200000;", 0x40000000},
              {f16 + "0x3c01; cvt.f32.f16 %f9, %rs1;", 0x3f802000},
              {f16 + "0x0001; cvt.f32.f16 %f9, %rs1;", 0x33800000},
              {f16 + "0x3f81; cvt.f32.bf16 %f9, %rs1;", 0x3f810000}});
  const std::string end = " cvt.u32.u16 %r9, %rs2;";
  expect32({{"cvt.rn.f16.f32 %rs2, 0f3f801000;" + end, 0x3c00},  // between two: to even
            {"cvt.rn.f16.f32 %rs2, 0f477ff000;" + end, 0x7c00},  // 65520: infinity
            {"cvt.rn.f16.f32 %rs2, 0f7f800001;" + end, 0x7fff},  // NaN
            {"cvt.rn.bf16.f32 %rs2, 0f3f808000;" + end, 0x3f80},
            {"cvt.rn.bf16.f32 %rs2, 0f3f818000;" + end, 0x3f82},
            {"cvt.rn.bf16.f32 %rs2, 0f7f7fffff;" + end, 0x7f80},
            {"cvt.rn.bf16.f32 %rs2, 0fffc00000;" + end, 0x7fff}});
}

// What a modifier would change is not done without it.
TEST(PtxArithmetic, ModifiersThatAreNotKnownAreRefused) {
  for (const char* line :
       {"add.sat.s32 %r4, %r1, 1;", "add.ftz.f32 %f1, %f1, %f1;", "add.rz.f32 %f1, %f1, %f1;",
        "min.NaN.f32 %f1, %f1, %f1;", "cvt.sat.s32.s64 %r4, %rd1;", "cvt.rpi.s32.f32 %r4, %f1;",
        "cvt.rn.bf16.f64 %rs1, %fd1;", "setp.lt.ftz.f32 %p1, %f1, %f1;",
        "setp.lt.and.s32 %p1, %r1, 1, %p2;", "mul.wide.s64 %rd3, %rd1, 2;",
        "prmt.b32.f4e %r4, %r1, %r1, 1;",
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, "
        "%r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4};"}) {
    EXPECT_THROW(run_lines(line), Fault) << line;
  }
}

}  // namespace
}  // namespace convoy::ptx
