// SPDX-License-Identifier: MIT
#include "kernels/tuning.h"

#include <gtest/gtest.h>

#include <set>

#include "kernels/gpu/ladder.h"
#include "tests/support/compare.h"
#include "tests/support/run_kernel.h"

namespace convoy {
CONVOY_LADDER(Gemm)
CONVOY_LADDER(Conv2dForward)
CONVOY_LADDER(Conv2dBackwardInput)
CONVOY_LADDER(Conv2dBackwardWeight)
}  // namespace convoy

namespace convoy::testing {
namespace {

// Each test leaves the choice as it found it: to plan alone.
class Tuning : public ::testing::Test {
 protected:
  ~Tuning() override {
    set_tuning_table({});
    set_kernel_family(KernelFamily::own);
    stop_recording_ops();
  }
};

constexpr float kSomewhere = 0;  // an address for what must not be null
constexpr NormLine kLine{};

Gemm some_gemm() {
  return dense_gemm(64, 48, 80, nullptr, false, nullptr, false, nullptr, DType::f32);
}

Conv2dForward some_conv() {
  return {.g = conv2d_geometry({2, 12, 12, 16}, {16, 3, 3, 16}, {.padding = {1, 1}}),
          .x = nullptr,
          .weight = nullptr,
          .y = nullptr,
          .dtype = DType::f32};
}

TEST_F(Tuning, AKeyTellsApartWhatMattersToSpeed) {
  std::set<std::string> keys{tuning_key(some_gemm())};
  const auto add = [&](auto change) {
    Gemm op = some_gemm();
    change(op);
    EXPECT_TRUE(keys.insert(tuning_key(op)).second) << tuning_key(op);
  };
  add([](Gemm& op) { op.M = 65; });
  add([](Gemm& op) { op.N = 49; });
  add([](Gemm& op) { op.K = 81; });
  add([](Gemm& op) { op.batch = 2; });
  add([](Gemm& op) { op.transpose_a = true; });
  add([](Gemm& op) { op.transpose_b = true; });
  add([](Gemm& op) { op.lda += 1; });
  add([](Gemm& op) { op.ldb += 1; });
  add([](Gemm& op) { op.ldc += 1; });
  add([](Gemm& op) { op.accumulate = true; });
  add([](Gemm& op) { op.dtype = DType::f16; });
  add([](Gemm& op) { op.dtype = DType::bf16; });
  add([](Gemm& op) { op.dtype = DType::f16, op.out_dtype = DType::f32; });
  add([](Gemm& op) { op.epilogue.bias = &kSomewhere; });
  add([](Gemm& op) { op.epilogue.residual = &kSomewhere; });
  add([](Gemm& op) { op.epilogue.activation = Activation::relu; });

  Gemm elsewhere = some_gemm();
  elsewhere.a = &kSomewhere;
  EXPECT_EQ(tuning_key(elsewhere), tuning_key(some_gemm())) << "addresses do not matter";
}

TEST_F(Tuning, TheKeysOfConvolutionsTellFusedOnesApart) {
  const Conv2dGeometry g = some_conv().g;
  std::set<std::string> keys{tuning_key(some_conv())};
  const auto add = [&](const auto& op) {
    EXPECT_TRUE(keys.insert(tuning_key(op)).second) << tuning_key(op);
  };
  Conv2dForward forward = some_conv();
  forward.epilogue.bias = &kSomewhere;
  add(forward);
  float statistics = 0;
  forward.epilogue.statistics.mean = &statistics;
  add(forward);
  forward.prologue.lines = &kLine;
  add(forward);
  Conv2dBackwardInput input{g, nullptr, nullptr, nullptr, false, DType::f32};
  add(input);
  input.accumulate = true;
  add(input);
  input.epilogue.addend = &kSomewhere;
  add(input);
  input.epilogue.raw = &kSomewhere;
  add(input);
  Conv2dBackwardWeight weight{g, nullptr, nullptr, nullptr, false, nullptr, false, DType::f32};
  add(weight);
  float gradient = 0;
  weight.dweight = &gradient;
  add(weight);
  weight.dbias = &gradient;
  add(weight);
  weight.gradient_prologue.lines = reinterpret_cast<const NormGradientLine*>(&kLine);
  add(weight);
}

TEST_F(Tuning, EachFieldOfTheGeometryIsInTheKey) {
  std::set<std::string> keys{tuning_key(some_conv())};
  for (std::int64_t Conv2dGeometry::*field :
       {&Conv2dGeometry::N, &Conv2dGeometry::H, &Conv2dGeometry::W, &Conv2dGeometry::C,
        &Conv2dGeometry::K, &Conv2dGeometry::R, &Conv2dGeometry::S, &Conv2dGeometry::stride_h,
        &Conv2dGeometry::stride_w, &Conv2dGeometry::pad_h, &Conv2dGeometry::pad_w,
        &Conv2dGeometry::dilation_h, &Conv2dGeometry::dilation_w, &Conv2dGeometry::groups}) {
    Conv2dForward op = some_conv();
    op.g.*field += 1;
    EXPECT_TRUE(keys.insert(tuning_key(op)).second) << tuning_key(op);
  }
}

TEST_F(Tuning, TheTableChoosesOnEveryDevice) {
  for (const Device device : {Device{DeviceType::cpu}, Device{DeviceType::sim}}) {
    const bool on_host = device.type == DeviceType::cpu;
    for (const char* rung : on_host ? on_cpu::rungs(some_gemm()) : on_sim::rungs(some_gemm())) {
      set_tuning_table({{tuning_key(some_gemm()), rung}});
      EXPECT_STREQ(plan(some_gemm(), device).variant, rung);
    }
    for (const char* rung : on_host ? on_cpu::rungs(some_conv()) : on_sim::rungs(some_conv())) {
      set_tuning_table({{tuning_key(some_conv()), rung}});
      EXPECT_STREQ(plan(some_conv(), device).variant, rung);
    }
  }
}

TEST_F(Tuning, WhatTheTableDoesNotKnowIsPlansToChoose) {
  const Device device{DeviceType::sim};
  const char* rule = plan(some_gemm(), device).variant;
  for (const char* unknown : {"winograd", "wgmma_9", ""}) {
    set_tuning_table({{tuning_key(some_gemm()), unknown}});
    EXPECT_STREQ(plan(some_gemm(), device).variant, rule);
  }
  Gemm other = some_gemm();
  other.M = 63;
  set_tuning_table({{tuning_key(other), "naive"}});
  EXPECT_STREQ(plan(some_gemm(), device).variant, rule);
}

// Every variant that the cpu has for a convolution gives the same, within rounding.
TEST_F(Tuning, TheCpusVariantsAgree) {
  Conv2dForward op = some_conv();
  const auto x = random_values<float>(op.g.input_shape().count(), 1);
  const auto weight = random_values<float>(op.g.weight_shape().count(), 2);
  std::vector<float> plain(static_cast<std::size_t>(op.g.output_shape().count())), y(plain);
  op.x = x.data(), op.weight = weight.data(), op.y = plain.data();
  set_tuning_table({{tuning_key(op), "plain"}});
  run_kernel(op);
  op.y = y.data();
  const std::vector<const char*> rungs = on_cpu::rungs(op);
  EXPECT_GE(rungs.size(), 2u);
  for (const char* rung : rungs) {
    set_tuning_table({{tuning_key(op), rung}});
    run_kernel(op);
    expect_close(y, to_double(plain), {.k = 144, .scale = 2}, rung);
  }
}

// ---- families ----

const std::vector<const char*> kOwn = {"naive", "tensor_core"};
const std::vector<const char*> kVendor = {"vendor", "vendor_2"};

const char* pick(KernelFamily family, const char* entry, const std::vector<const char*>& vendor) {
  set_kernel_family(family);
  set_tuning_table(entry == nullptr ? TuningTable{} : TuningTable{{"an op", entry}});
  const char* picked = choice::pick("an op", kOwn, vendor);
  return picked == nullptr ? "plan's" : picked;
}

TEST_F(Tuning, OwnTakesTheTableForHandWrittenVariants) {
  EXPECT_STREQ(pick(KernelFamily::own, nullptr, {}), "plan's");
  EXPECT_STREQ(pick(KernelFamily::own, "naive", {}), "naive");
  EXPECT_STREQ(pick(KernelFamily::own, "vendor_2", {}), "plan's");
}

TEST_F(Tuning, VendorTakesTheLibrarysFirstOrTheTablesChoiceOfThem) {
  EXPECT_STREQ(pick(KernelFamily::vendor, nullptr, kVendor), "vendor");
  EXPECT_STREQ(pick(KernelFamily::vendor, "vendor_2", kVendor), "vendor_2");
  EXPECT_STREQ(pick(KernelFamily::vendor, "naive", kVendor), "vendor");
  EXPECT_STREQ(pick(KernelFamily::vendor, "vendor_8", kVendor), "vendor");
  EXPECT_TRUE(ops_without_vendor().empty());
}

TEST_F(Tuning, VendorFallsBackOpByOpAndSaysWhere) {
  EXPECT_STREQ(pick(KernelFamily::vendor, nullptr, {}), "plan's");
  EXPECT_STREQ(pick(KernelFamily::vendor, "naive", {}), "naive");
  choice::pick("another op", kOwn, {});
  EXPECT_EQ(ops_without_vendor(), (std::vector<std::string>{"an op", "another op"}));
  set_kernel_family(KernelFamily::own);
  EXPECT_TRUE(ops_without_vendor().empty());
}

TEST_F(Tuning, WhatTheTableAsksForInVainIsSaid) {
  EXPECT_STREQ(pick(KernelFamily::own, "naive", {}), "naive");
  EXPECT_STREQ(pick(KernelFamily::own, "vendor_2", {}), "plan's") << "own was asked for";
  EXPECT_TRUE(choices_not_there().empty());
  EXPECT_STREQ(pick(KernelFamily::own, "naiv", {}), "plan's");
  ASSERT_EQ(choices_not_there().size(), 1u);
  EXPECT_NE(choices_not_there()[0].find("an op expects "), std::string::npos);
  EXPECT_NE(choices_not_there()[0].find("naive"), std::string::npos);
  EXPECT_NE(choices_not_there()[0].find(", found 'naiv', which is no variant"), std::string::npos);
  EXPECT_STREQ(pick(KernelFamily::automatic, "vendor_8", kVendor), "plan's");
  EXPECT_NE(choices_not_there().at(0).find("vendor_2, found 'vendor_8', which does not take it"),
            std::string::npos);
  set_tuning_table({});
  EXPECT_TRUE(choices_not_there().empty());
}

TEST_F(Tuning, AutoFollowsTheTableAlone) {
  EXPECT_STREQ(pick(KernelFamily::automatic, nullptr, kVendor), "plan's");
  EXPECT_STREQ(pick(KernelFamily::automatic, "vendor_2", kVendor), "vendor_2");
  EXPECT_STREQ(pick(KernelFamily::automatic, "naive", kVendor), "naive");
}

// Engines are slow to build, and with own kernels no library is loaded.
TEST_F(Tuning, TheVendorIsAskedForNoMoreThanCanMatter) {
  std::size_t asked = 99;
  const auto own = [](const Gemm&) { return kOwn; };
  const auto vendor = [&](const Gemm&, std::size_t limit) {
    asked = limit;
    return kVendor;
  };
  const std::string key = tuning_key(some_gemm());
  set_tuning_table({{key, "naive"}});
  EXPECT_STREQ(chosen_variant(some_gemm(), own, vendor), "naive");
  EXPECT_EQ(asked, 0u);
  set_kernel_family(KernelFamily::automatic);
  chosen_variant(some_gemm(), own, vendor);
  EXPECT_EQ(asked, 0u);
  set_kernel_family(KernelFamily::vendor);
  EXPECT_STREQ(chosen_variant(some_gemm(), own, vendor), "vendor");
  EXPECT_EQ(asked, 1u);
  set_tuning_table({{key, "vendor_2"}});
  EXPECT_STREQ(chosen_variant(some_gemm(), own, vendor), "vendor_2");
  EXPECT_EQ(asked, 2u);
}

TEST_F(Tuning, RecordsEachOpOnce) {
  start_recording_ops();
  plan(some_gemm(), Device{});
  plan(some_gemm(), Device{DeviceType::sim});
  plan(some_conv(), Device{});
  const std::map<std::string, TunableOp> ops = stop_recording_ops();
  ASSERT_EQ(ops.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<Gemm>(ops.at(tuning_key(some_gemm()))));
  EXPECT_TRUE(std::holds_alternative<Conv2dForward>(ops.at(tuning_key(some_conv()))));
  plan(some_gemm(), Device{});
  EXPECT_TRUE(stop_recording_ops().empty()) << "not recording any more";
}

}  // namespace
}  // namespace convoy::testing
