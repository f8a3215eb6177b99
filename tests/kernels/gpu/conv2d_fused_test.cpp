// SPDX-License-Identifier: MIT
// Convolutions with a norm on load and with the norm's gradient on load and in the epilogue. Norms
// and values are such that f32 computes them exactly: what is loaded is the same in the reference,
// and the convolution's bounds hold.
#include <algorithm>
#include <cmath>
#include <random>
#include <string_view>

#include "kernels/conv2d.h"
#include "kernels/gpu/variants.h"
#include "tests/support/gpu_case.h"
#include "tests/support/reference/batch_norm.h"
#include "tests/support/reference/conv2d.h"

namespace convoy::testing {
namespace {

using Values = std::vector<double>;

// Multiples of 1/4 in [-1, 1].
Values quarters(std::int64_t count, std::uint32_t seed) {
  std::mt19937 engine(seed);
  std::uniform_int_distribution<int> whole(-4, 4);
  Values values(static_cast<std::size_t>(count));
  for (double& v : values) v = whole(engine) / 4.0;
  return values;
}

std::vector<NormLine> norm_lines(std::int64_t channels) {
  std::vector<NormLine> lines;
  for (int c = 0; c < channels; ++c) {
    const float sign = c % 5 == 3 ? -1.0f : 1.0f;
    lines.push_back({0.25f * static_cast<float>(c % 3 - 1), sign * (c % 2 == 0 ? 1.0f : 2.0f),
                     0.25f * static_cast<float>(c % 4), 1});
  }
  return lines;
}
std::vector<NormGradientLine> gradient_lines(std::int64_t channels) {
  std::vector<NormGradientLine> lines;
  for (int c = 0; c < channels; ++c) {
    lines.push_back({0.25f * static_cast<float>(c % 3), c % 2 == 0 ? 2.0f : -1.0f,
                     0.25f * static_cast<float>(c % 4 - 1), c % 3 == 0 ? 0.5f : -0.5f});
  }
  return lines;
}

Values normed(const Values& x, const std::vector<NormLine>& lines, bool relu) {
  Values z(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const NormLine& line = lines[i % lines.size()];
    z[i] = (x[i] - line.mean) * line.gain + line.bias;
    if (relu && z[i] < 0) z[i] = 0;
  }
  return z;
}
Values through_norm(const Values& g, const Values& raw,
                    const std::vector<NormGradientLine>& lines) {
  Values d(g.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    const NormGradientLine& line = lines[i % lines.size()];
    d[i] = line.gain * (g[i] - line.level - (raw[i] - line.mean) * line.slope);
  }
  return d;
}

// A bias before and behind the norm shifts the padding if it is normed: the zeros must stay zeros.
struct Case {
  Shape x, weight;
  Conv2dOptions options = {};
  bool halo = false;  // its gradients have a rung that brings each pixel once
};
const Case kCases[] = {
    {{2, 5, 7, 3}, {5, 3, 3, 3}, {.stride = {1, 1}, .padding = {1, 1}}},
    {{1, 9, 8, 16}, {33, 3, 3, 16}, {.stride = {2, 2}, .padding = {1, 1}}},
    {{3, 13, 12, 4}, {6, 3, 3, 4}, {.stride = {2, 2}, .padding = {1, 1}}},
    {{3, 5, 5, 40}, {70, 1, 1, 40}},
    {{1, 6, 5, 20}, {28, 3, 3, 20}, {.padding = {1, 1}}},
    {{2, 6, 5, 18}, {6, 3, 2, 9}, {.stride = {1, 2}, .padding = {2, 0}, .groups = 2}},
    {{2, 9, 8, 32}, {16, 3, 3, 32}, {.padding = {1, 1}}, true},
    {{1, 5, 4, 16}, {48, 3, 3, 16}, {.padding = {1, 1}}, true},
    {{1, 6, 7, 32}, {64, 3, 3, 16}, {.padding = {1, 2}, .dilation = {1, 2}, .groups = 2}, true},
};

template <class Op>
void run_rung(const Op& op, const char* rung) {
  const Plan plan = plan_variant(op, case_device(), rung);
  const DeviceArray workspace(DType::u8, static_cast<std::int64_t>(plan.workspace_bytes));
  run(op, plan, workspace.data(), Stream{case_device()});
}

Bound bound(std::int64_t terms) { return {.k = static_cast<double>(terms), .scale = 4 * 4}; }

struct Problem {
  Problem(const Case& c, DType type)
      : g(conv2d_geometry(c.x, c.weight, c.options)),
        dtype(type),
        halo(c.halo && (type != DType::f32 || c.options.dilation[1] == 1)),
        x(quarters(g.input_shape().count(), 1)),
        weight(random_doubles(type, g.weight_shape().count(), 2)),
        dy(quarters(g.output_shape().count(), 3)),
        raw(quarters(g.output_shape().count(), 4)),
        x_lines(norm_lines(g.C)),
        dy_lines(gradient_lines(g.K)) {}
  Conv2dGeometry g;
  DType dtype;
  bool halo;
  Values x, weight, dy, raw;
  std::vector<NormLine> x_lines;
  std::vector<NormGradientLine> dy_lines;
};

// bf16 goes every way that f16 goes: two cases show that it is itself.
template <class Body>
void for_each_problem(Body body) {
  for_each_dtype([&](DType dtype) {
    for (const Case& c : kCases) {
      if (dtype == DType::bf16 && c.x[3] % 3 != 0) continue;
      SCOPED_TRACE(to_text(c.x) + " by " + to_text(c.weight));
      body(Problem(c, dtype));
    }
  });
}

GPU_CASE(Conv2dFused, ForwardNormsOnLoad) {
  for_each_problem([](const Problem& p) {
    for (const bool relu : {true, false}) {
      const DeviceArray x(p.dtype, p.x), weight(p.dtype, p.weight), y(p.dtype, p.dy.size());
      const DeviceValues<NormLine> lines(p.x_lines);
      Conv2dForward op{p.g, x.data(), weight.data(), y.data(), p.dtype};
      op.prologue = {lines.data(), relu};
      const auto ref = reference::conv2d_forward(p.g, normed(p.x, p.x_lines, relu), p.weight, {});
      for (const char* rung : variants(op, case_device())) {
        SCOPED_TRACE(rung);
        run_rung(op, rung);
        expect_close(y, ref, bound(p.g.R * p.g.S * p.g.C), "y");
      }
    }
  });
}

// Of what is stored, also where it lies far from zero. Without a rung: by each.
void expect_statistics(const Problem& p, std::string_view only = {}) {
  for (const double shift : {0.0, 64.0}) {
    const Values offsets(static_cast<std::size_t>(p.g.K), shift);
    const DeviceArray x(p.dtype, p.x), weight(p.dtype, p.weight), bias(p.dtype, offsets);
    const DeviceArray y(p.dtype, p.g.output_shape().count());
    const DeviceArray mean(DType::f32, p.g.K), var(DType::f32, p.g.K);
    Conv2dForward op{p.g, x.data(), weight.data(), y.data(), p.dtype};
    op.epilogue = {.bias = bias.data(), .statistics = {mean.as<float>(), var.as<float>()}};
    for (const char* rung : variants(op, case_device())) {
      if (!only.empty() && rung != only) continue;
      SCOPED_TRACE(rung);
      run_rung(op, rung);
      reference::BatchNorm ref{
          p.g.N * p.g.P * p.g.Q, p.g.K, y.values(), {}, {}, {}, {}, {}, 0, false};
      ref.take_batch_statistics();
      const double rows = static_cast<double>(ref.rows);
      const double square = std::max(1.0, *std::max_element(ref.var.begin(), ref.var.end()));
      expect_close(mean, ref.mean, {.scale = std::sqrt(square)}, "mean");
      expect_close(var, ref.var, {.k = rows, .scale = 4 * square}, "variance");
    }
  }
}

GPU_CASE(Conv2dFused, ForwardTakesStatistics) {
  for_each_problem([](const Problem& p) { expect_statistics(p); });
}

// Channels and filters in runs of 16 bytes; outputs that end within 64 rows, and with the first row
// of a tile; filters beside a box of 64.
GPU_CASE(Conv2dFused, WgmmaTakesStatisticsOfWholeRuns) {
  NEEDS_WGMMA();
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const Case& c : {Case{{3, 9, 10, 16}, {72, 3, 3, 16}}, Case{{1, 5, 45, 8}, {8, 3, 3, 8}},
                          Case{{1, 10, 10, 72}, {136, 3, 3, 72}}}) {
      SCOPED_TRACE(to_text(c.x) + " by " + to_text(c.weight));
      expect_statistics(Problem(c, dtype), "wgmma");
    }
  }
}

// More rows of tiles than warps join them, and more channels than a warp has lanes.
GPU_CASE(Conv2dFused, TotalsOfManyTiles) {
  const Problem p({{1, 33, 34, 1}, {33, 1, 1, 1}}, DType::f16);
  const DeviceArray x(p.dtype, p.x), weight(p.dtype, p.weight), y(p.dtype, p.dy.size());
  const DeviceArray mean(DType::f32, p.g.K), var(DType::f32, p.g.K);
  Conv2dForward op{p.g, x.data(), weight.data(), y.data(), p.dtype};
  op.epilogue.statistics = {mean.as<float>(), var.as<float>()};
  for (const char* rung : variants(op, case_device())) {
    SCOPED_TRACE(rung);
    run_rung(op, rung);
    reference::BatchNorm ref{33 * 34, p.g.K, y.values(), {}, {}, {}, {}, {}, 0, false};
    ref.take_batch_statistics();
    expect_close(mean, ref.mean, {.scale = 1}, "mean");
    expect_close(var, ref.var, {.k = 33 * 34}, "variance");
  }
}

// x is normed as the output of another convolution, or it is a picture.
void check_weight_gradient(const Problem& p, bool norms_x) {
  const DeviceArray x(p.dtype, p.x), dy(p.dtype, p.dy), raw(p.dtype, p.raw);
  const DeviceArray dweight(p.dtype, p.weight.size());
  const DeviceArray dbias(p.dtype, static_cast<std::size_t>(p.g.K));
  const DeviceValues<NormLine> lines(p.x_lines);
  const DeviceValues<NormGradientLine> dy_lines(p.dy_lines);
  Conv2dBackwardWeight op{p.g,   x.data(),     dy.data(), dweight.data(),
                          false, dbias.data(), false,     p.dtype};
  if (norms_x) op.prologue = {lines.data(), true};
  op.gradient_prologue = {raw.data(), dy_lines.data()};
  const Values d_raw = through_norm(p.dy, p.raw, p.dy_lines);
  const auto ref =
      reference::conv2d_backward_weight(p.g, norms_x ? normed(p.x, p.x_lines, true) : p.x, d_raw);
  const auto ref_bias = reference::conv2d_backward_bias(p.g, d_raw);
  for (const char* rung : variants(op, case_device())) {
    SCOPED_TRACE(rung);
    run_rung(op, rung);
    expect_close(dweight, ref, bound(p.g.N * p.g.P * p.g.Q), "dweight");
    expect_close(dbias, ref_bias, bound(p.g.N * p.g.P * p.g.Q), "dbias");
  }
}

GPU_CASE(Conv2dFused, WeightGradientNormsBothOnLoad) {
  for_each_problem([](const Problem& p) { check_weight_gradient(p, true); });
}
GPU_CASE(Conv2dFused, WeightGradientNormsOnlyDyOnLoad) {
  for_each_problem([](const Problem& p) { check_weight_gradient(p, false); });
}

// What the epilogue makes of the input gradient `dx`, masked by z.
struct Expected {
  Values g, sums, size;  // size: of the terms, for the bound
  Expected(const Problem& p, const Values& dx, const Values& z, bool relu)
      : g(dx), sums(static_cast<std::size_t>(2 * p.g.C)), size(sums.size()) {
    const std::size_t channels = p.x_lines.size();
    for (std::size_t i = 0; i < g.size(); ++i) {
      if (relu && !(z[i] > 0)) g[i] = 0;
      const double d = p.x[i] - p.x_lines[i % channels].mean;
      sums[i % channels] += g[i];
      sums[channels + i % channels] += g[i] * d;
    }
  }
};

// With x as the raw output of the convolution in front.
GPU_CASE(Conv2dFused, InputGradientMasksAndSums) {
  for_each_problem([](const Problem& p) {
    const Values before = quarters(static_cast<std::int64_t>(p.x.size()), 8);
    const Values z = normed(p.x, p.x_lines, true);
    const DeviceArray dy(p.dtype, p.dy), raw(p.dtype, p.raw), weight(p.dtype, p.weight);
    const DeviceArray x(p.dtype, p.x), stored_z(p.dtype, z);
    const DeviceValues<NormLine> lines(p.x_lines);
    const DeviceValues<NormGradientLine> dy_lines(p.dy_lines);
    const auto plain =
        reference::conv2d_backward_input(p.g, through_norm(p.dy, p.raw, p.dy_lines), p.weight);
    Values with_addend = plain;
    for (std::size_t i = 0; i < plain.size(); ++i) with_addend[i] += before[i];
    for (int way = 0; way < 4; ++way) {
      SCOPED_TRACE(way);
      const bool relu = way != 3, adds = way == 1 || way == 2;
      const DeviceArray addend(p.dtype, before);
      const DeviceArray sums(DType::f32, 2 * p.g.C);
      Conv2dBackwardInput op{p.g, dy.data(), weight.data(), nullptr, way == 1, p.dtype};
      op.prologue = {raw.data(), dy_lines.data()};
      op.epilogue = {.addend = way == 2 ? addend.data() : nullptr,
                     .raw = x.data(),
                     .lines = lines.data(),
                     .z = way == 0 ? stored_z.data() : nullptr,
                     .relu = relu,
                     .sums = sums.as<float>()};
      const Expected expected(p, adds ? with_addend : plain, z, relu);
      for (const char* rung : variants(op, case_device())) {
        SCOPED_TRACE(rung);
        const DeviceArray dx(p.dtype, before);
        op.dx = dx.data();
        run_rung(op, rung);
        expect_close(dx, expected.g, bound(p.g.R * p.g.S * p.g.K), "g");
        // The sums are those of what was stored.
        const Expected stored(p, dx.values(), z, false);
        const double pixels = static_cast<double>(p.g.N * p.g.H * p.g.W);
        expect_close(sums, stored.sums, {.k = pixels, .scale = 64}, "sums");
      }
    }
  });
}

// In one launch as in two.
GPU_CASE(Conv2dFused, BothGradientsAtOnce) {
  for_each_problem([](const Problem& p) {
    const DeviceArray x(p.dtype, p.x), dy(p.dtype, p.dy), raw(p.dtype, p.raw);
    const DeviceArray weight(p.dtype, p.weight);
    const DeviceValues<NormLine> lines(p.x_lines);
    const DeviceValues<NormGradientLine> dy_lines(p.dy_lines);
    const DeviceArray dx(p.dtype, p.x.size()), dweight(DType::f32, p.weight.size());
    const DeviceArray sums(DType::f32, 2 * p.g.C);
    const GradientPrologue prologue{raw.data(), dy_lines.data()};
    Conv2dBackward op{{p.g, dy.data(), weight.data(), dx.data(), false, p.dtype},
                      {p.g, x.data(), dy.data(), dweight.data(), false, nullptr, false, p.dtype}};
    op.input.prologue = op.weight.gradient_prologue = prologue;
    op.weight.grad_dtype = DType::f32;
    op.weight.prologue = {lines.data(), true};
    op.input.epilogue = {
        .raw = x.data(), .lines = lines.data(), .relu = true, .sums = sums.as<float>()};

    const Values d_raw = through_norm(p.dy, p.raw, p.dy_lines), z = normed(p.x, p.x_lines, true);
    const Expected of_input(p, reference::conv2d_backward_input(p.g, d_raw, p.weight), z, true);
    const Values of_weight = reference::conv2d_backward_weight(p.g, z, d_raw);
    EXPECT_EQ(variants(op, case_device()).size(), (p.dtype == DType::f32 ? 3u : 2u) + p.halo);
    for (const char* rung : variants(op, case_device())) {
      SCOPED_TRACE(rung);
      run_rung(op, rung);
      expect_close(dx, of_input.g, bound(p.g.R * p.g.S * p.g.K), "g");
      const Expected stored(p, dx.values(), z, false);
      const double pixels = static_cast<double>(p.g.N * p.g.H * p.g.W);
      expect_close(sums, stored.sums, {.k = pixels, .scale = 64}, "sums");
      expect_close(dweight, of_weight, bound(p.g.N * p.g.P * p.g.Q), "dweight");
    }
  });
}

// Of a channel count that takes whole runs and large tiles for one gradient and not for the other,
// and with the gradients added to what is there.
GPU_CASE(Conv2dFused, BothGradientsShareATile) {
  const Problem p({{2, 16, 16, 128}, {16, 1, 1, 128}}, DType::f16);
  const DeviceArray x(p.dtype, p.x), dy(p.dtype, p.dy), raw(p.dtype, p.raw);
  const DeviceArray weight(p.dtype, p.weight);
  const DeviceValues<NormGradientLine> dy_lines(p.dy_lines);
  const DeviceArray dx(p.dtype, p.x), dweight(DType::f32, p.weight);
  Conv2dBackward op{{p.g, dy.data(), weight.data(), dx.data(), true, p.dtype},
                    {p.g, x.data(), dy.data(), dweight.data(), true, nullptr, false, p.dtype}};
  op.input.prologue = op.weight.gradient_prologue = {raw.data(), dy_lines.data()};
  op.weight.grad_dtype = DType::f32;
  run_rung(op, "tensor_core");
  const Values d_raw = through_norm(p.dy, p.raw, p.dy_lines);
  Values of_input = reference::conv2d_backward_input(p.g, d_raw, p.weight);
  Values of_weight = reference::conv2d_backward_weight(p.g, p.x, d_raw);
  for (std::size_t i = 0; i < of_input.size(); ++i) of_input[i] += p.x[i];
  for (std::size_t i = 0; i < of_weight.size(); ++i) of_weight[i] += p.weight[i];
  expect_close(dx, of_input, bound(p.g.K), "dx");
  expect_close(dweight, of_weight, bound(p.g.N * p.g.P * p.g.Q), "dweight");
}

// Without a norm in front the gradient of another branch may still be added.
GPU_CASE(Conv2dFused, InputGradientAddsAnotherBranch) {
  for_each_problem([](const Problem& p) {
    const Values other = quarters(static_cast<std::int64_t>(p.x.size()), 8);
    const DeviceArray dy(p.dtype, p.dy), weight(p.dtype, p.weight), addend(p.dtype, other);
    const DeviceArray dx(p.dtype, other.size());
    Conv2dBackwardInput op{p.g, dy.data(), weight.data(), dx.data(), false, p.dtype};
    op.epilogue.addend = addend.data();
    Values ref = reference::conv2d_backward_input(p.g, p.dy, p.weight);
    for (std::size_t i = 0; i < ref.size(); ++i) ref[i] += other[i];
    for (const char* rung : variants(op, case_device())) {
      SCOPED_TRACE(rung);
      run_rung(op, rung);
      expect_close(dx, ref, bound(p.g.R * p.g.S * p.g.K), "dx");
    }
  });
}

}  // namespace
}  // namespace convoy::testing
