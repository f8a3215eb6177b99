// SPDX-License-Identifier: MIT
// What the convolutions' rungs make of their sums: bias, residual, ReLU. (Statistics:
// conv2d_fused_test.cpp.)
#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/gpu/variants.h"
#include "kernels/vendor/names.h"
#include "tests/support/gpu_case.h"
#include "tests/support/reference/conv2d.h"

namespace convoy::testing {
namespace {

using Values = std::vector<double>;

struct Terms {
  bool bias, residual, relu;
};
Terms terms(int bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0}; }

// The library's variants, which depend on the op's terms and addresses.
std::vector<const char*> vendors(const Conv2dForward& op) {
  std::vector<const char*> found = variants(op, case_device());
  std::erase_if(found, [](const char* rung) { return !vendor::is_vendor(rung); });
  return found;
}

// `rung` null: every one of the vendor's library. `behind`: elements between where the residual's
// memory begins and its first one.
void check(const Conv2dGeometry& g, DType dtype, Terms t, const char* rung,
           std::int64_t behind = 0) {
  SCOPED_TRACE(::testing::Message()
               << "bias " << t.bias << " residual " << t.residual << " relu " << t.relu);
  const auto x = random_doubles(dtype, g.input_shape().count(), 1);
  const auto weight = random_doubles(dtype, g.weight_shape().count(), 2);
  const auto bias = random_doubles(dtype, g.K, 3);
  const std::int64_t count = g.output_shape().count();
  const auto residual = random_doubles(dtype, count + behind, 4);
  const DeviceArray dx(dtype, x), dweight(dtype, weight), dbias(dtype, bias);
  const DeviceArray dresidual(dtype, residual), y(dtype, count);
  const auto bytes = static_cast<std::int64_t>(size_of(dtype)) * behind;
  Conv2dForward op{g, dx.data(), dweight.data(), y.data(), dtype};
  op.epilogue = {.bias = t.bias ? dbias.data() : nullptr,
                 .residual = t.residual ? dresidual.as<std::byte>() + bytes : nullptr,
                 .activation = t.relu ? Activation::relu : Activation::none};
  Values want = reference::conv2d_forward(g, x, weight, t.bias ? bias : Values{});
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (t.residual) want[i] += residual[i + static_cast<std::size_t>(behind)];
    if (t.relu) want[i] = std::max(want[i], 0.0);
  }
  const Bound bound = sum_bound(static_cast<double>(g.R * g.S * g.C / g.groups) + 2);
  for (const char* name : rung != nullptr ? std::vector{rung} : vendors(op)) {
    SCOPED_TRACE(name);
    const Plan plan = plan_variant(op, case_device(), name);
    const DeviceArray workspace(DType::u8, static_cast<std::int64_t>(plan.workspace_bytes));
    run(op, plan, workspace.data(), Stream{case_device()});
    expect_close(y, want, bound, "y");
  }
}

// Ours: of no pictures the library has none.
std::vector<const char*> rungs_for(Conv2dGeometry g, DType dtype) {
  g.N = 0;
  return variants(Conv2dForward{g, nullptr, nullptr, nullptr, dtype}, case_device());
}

struct Case {
  Shape x, weight;
  Conv2dOptions options = {};
};
// By ones and in packs of channels, ragged tiles of both widths; groups; depthwise; one tap.
const Case kCases[] = {
    {{1, 4, 3, 2}, {5, 3, 2, 2}, {.stride = {1, 2}, .padding = {1, 1}}},
    {{2, 6, 6, 4}, {36, 1, 2, 4}},
    {{1, 4, 5, 6}, {8, 2, 2, 3}, {.groups = 2}},
    {{1, 3, 5, 3}, {6, 2, 3, 1}, {.padding = {1, 1}, .groups = 3}},
    {{1, 4, 6, 4}, {4, 3, 3, 1}, {.padding = {1, 1}, .groups = 4}},
    {{1, 3, 3, 8}, {8, 1, 1, 8}},
};

GPU_CASE(Conv2dEpilogue, EveryTermOnEveryRung) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(to_text(c.x) + " by " + to_text(c.weight));
      const Conv2dGeometry g = conv2d_geometry(c.x, c.weight, c.options);
      for (const char* rung : rungs_for(g, dtype)) {
        for (const int bits : {2, 5, 7}) check(g, dtype, terms(bits), rung);
      }
    }
  });
}

// On a GPU, in a suite of its own, and few: some engines are compiled when they are asked for.
GPU_CASE(Conv2dVendor, EveryTerm) {
  const Conv2dGeometry g = conv2d_geometry(kCases[1].x, kCases[1].weight, {});
  for (const DType dtype : {DType::f32, DType::f16}) {
    for (const int bits : {0, 3, 7}) check(g, dtype, terms(bits), nullptr);
  }
  check(g, DType::bf16, terms(7), nullptr);
  check(g, DType::f16, terms(2), nullptr, 1);
}

// Each residual in turn begins behind a multiple of a pack's bytes. (wgmma takes it by pairs.)
GPU_CASE(Conv2dEpilogue, AResidualThatIsNotAligned) {
  for (const Case& c : {kCases[1], kCases[4], kCases[5]}) {
    const Conv2dGeometry g = conv2d_geometry(c.x, c.weight, c.options);
    for (const std::string rung : rungs_for(g, DType::f16)) {
      if (rung != "wgmma") check(g, DType::f16, terms(3), rung.c_str(), 1);
    }
  }
}

// Enough tiles of the largest kind for every multiprocessor; a depth that is split.
GPU_CASE(Conv2dEpilogue, LargeTilesAndASplitDepth) {
  check(conv2d_geometry({2, 13, 10, 3}, {66, 1, 1, 3}, {}), DType::f32, terms(7), "register_tile");
  check(conv2d_geometry({6, 8, 8, 8}, {120, 2, 1, 8}, {.padding = {1, 0}}), DType::f16, terms(7),
        "tensor_core");
  check(conv2d_geometry({1, 3, 3, 66}, {5, 3, 3, 66}, {.padding = {1, 1}}), DType::bf16, terms(7),
        "tensor_core");
}

GPU_CASE(Conv2dWgmma, EveryTermInRaggedTiles) {
  NEEDS_WGMMA();
  const Conv2dGeometry g = conv2d_geometry({3, 7, 7, 8}, {72, 2, 2, 8}, {.padding = {1, 0}});
  check(g, DType::f16, terms(7), "wgmma");
  check(g, DType::bf16, terms(7), "wgmma");
}

}  // namespace
}  // namespace convoy::testing
