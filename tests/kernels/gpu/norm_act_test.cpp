// SPDX-License-Identifier: MIT
// A norm in the parts that fused convolutions leave, against batch normalisation by its definition.
#include "kernels/norm_act.h"

#include <cmath>

#include "tests/support/gpu_case.h"
#include "tests/support/reference/batch_norm.h"

namespace convoy::testing {
namespace {

struct Case {
  std::int64_t rows, channels;
  bool affine = true, residual = false, residual_norm = false, relu = true;
  double shift = 0;  // added to x
};
const Case kCases[] = {
    {2, 1},
    {31, 3, false},
    {129, 33, true, true},
    {300, 24, true, true, true},
    {9, 320, true, true},
    {65, 32, true, true, false, false},
    {400, 8, true, false, false, true, 8},
};

// A norm's operands on the device, and its lines.
struct Norm {
  Norm(const Case& c, DType type, std::uint32_t seed, bool relu)
      : rows(c.rows),
        channels(c.channels),
        x(type, random_doubles(type, c.rows * c.channels, seed, c.shift)),
        scale(type, random_doubles(type, c.channels, seed + 1)),
        bias(type, random_doubles(type, c.channels, seed + 2)),
        running_mean(DType::f32, random_doubles(DType::f32, c.channels, seed + 3)),
        running_var(DType::f32, random_doubles(DType::f32, c.channels, seed + 4, 1.5)),
        lines(std::vector<NormLine>(static_cast<std::size_t>(c.channels))) {
    ref = {c.rows, c.channels, x.values(), {}, {}, {}, {}, {}, 1e-5, relu};
    if (c.affine) ref.scale = scale.values(), ref.bias = bias.values();
    ref.take_batch_statistics();
    const DeviceArray mean(DType::f32, ref.mean), var(DType::f32, ref.var);
    run_on_device(NormLinesFromBatch{.rows = rows,
                                     .channels = channels,
                                     .mean = mean.as<float>(),
                                     .var = var.as<float>(),
                                     .scale = c.affine ? scale.data() : nullptr,
                                     .bias = c.affine ? bias.data() : nullptr,
                                     .running_mean = running_mean.as<float>(),
                                     .running_var = running_var.as<float>(),
                                     .lines = lines.data(),
                                     .momentum = 0.25,
                                     .eps = 1e-5,
                                     .dtype = type});
  }
  double largest_rstd() const {
    double largest = 1;
    for (const double v : ref.var) largest = std::max(largest, 1 / std::sqrt(v + ref.eps));
    return largest;
  }

  std::int64_t rows, channels;
  DeviceArray x, scale, bias, running_mean, running_var;
  DeviceValues<NormLine> lines;
  reference::BatchNorm ref;
};

GPU_CASE(NormAct, LinesAndRunningEstimates) {
  const Case c{31, 300};
  Norm n(c, DType::f32, 1, true);
  std::vector<double> mean = random_doubles(DType::f32, 300, 4),
                      var = random_doubles(DType::f32, 300, 5, 1.5);
  const std::vector<NormLine> lines = n.lines.values();
  std::vector<double> found_gain, gain;
  for (std::size_t k = 0; k < 300; ++k) {
    mean[k] = 0.75 * mean[k] + 0.25 * n.ref.mean[k];
    var[k] = 0.75 * var[k] + 0.25 * n.ref.var[k] * 31 / 30;
    gain.push_back(n.ref.scale[k] / std::sqrt(n.ref.var[k] + 1e-5));
    found_gain.push_back(lines[k].gain);
  }
  expect_close(n.running_mean, mean, {.scale = 1}, "running mean");
  expect_close(n.running_var, var, {.scale = 1}, "running variance");
  expect_close(found_gain, DType::f32, gain, {.scale = 1}, "gain");
}

// Everything a norm does in a training step. The composition rounds a normed residual before it is
// added: so does the reference.
struct Step {
  Step(const Case& c, DType type)
      : dtype(type),
        norm(c, type, 1, c.relu),
        other({c.rows, c.channels}, type, 20, false),
        y(type, c.rows * c.channels),
        dy(type, random_doubles(type, c.rows * c.channels, 3)),
        g(type, c.rows * c.channels),
        sums(DType::f32, 2 * c.channels) {
    const bool lined = c.residual_norm;
    if (c.residual)
      norm.ref.residual = lined ? rounded(type, other.ref.forward()) : other.x.values();
    forward = {norm.rows,
               norm.channels,
               norm.x.data(),
               norm.lines.data(),
               c.residual ? other.x.data() : nullptr,
               lined ? other.lines.data() : nullptr,
               y.data(),
               c.relu,
               type};
    backward = {.rows = norm.rows,
                .channels = norm.channels,
                .dy = dy.data(),
                .x = norm.x.data(),
                .lines = norm.lines.data(),
                .y = c.residual ? y.data() : nullptr,
                .g = g.data(),
                .sums = sums.as<float>(),
                .relu = c.relu,
                .dtype = type};
  }

  DType dtype;
  Norm norm, other;
  DeviceArray y, dy, g, sums;
  NormAct forward;
  NormActBackward backward;
};

// Where rounding decides on which side of zero y is, masks may differ from the reference's.
std::vector<double> masked_by(const std::vector<double>& y, std::vector<double> dy, bool relu) {
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = relu && !(y[i] > 0) ? 0 : dy[i];
  return dy;
}

GPU_CASE(NormAct, ForwardMatchesReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.channels);
      Step s(c, dtype);
      run_on_device(s.forward);
      const double size = s.norm.largest_rstd() * (3 + c.shift);
      // A normed residual may round to either neighbour.
      const double neighbour = c.residual_norm ? epsilon(dtype) / epsilon(DType::f32) : 1;
      const double scale = size * neighbour * s.other.largest_rstd();
      expect_close(s.y, s.norm.ref.forward(), {.scale = scale}, "y");
      const std::vector<double> y = s.y.values();
      s.forward.y = s.norm.x.data();
      run_on_device(s.forward);
      expect_equal(s.norm.x, y, "y in place");
    }
  });
}

// What GradientPrologue says that a reader of the lines makes of g.
std::vector<double> through_norm(const std::vector<double>& g, const std::vector<double>& x,
                                 const std::vector<NormGradientLine>& lines) {
  std::vector<double> dx(g.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    const NormGradientLine& line = lines[i % lines.size()];
    dx[i] = line.gain * (g[i] - line.level - (x[i] - line.mean) * line.slope);
  }
  return dx;
}

GPU_CASE(NormAct, BackwardMatchesReference) {
  for_each_dtype([](DType dtype) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << c.rows << " x " << c.channels);
      Step s(c, dtype);
      run_on_device(s.forward);
      run_on_device(s.backward);
      const double rows = static_cast<double>(c.rows), gain = s.norm.largest_rstd();
      const double size = gain * (3 + c.shift);
      // The mask is y's; the rest is the reference's without one.
      const std::vector<double> g = masked_by(s.y.values(), s.dy.values(), c.relu);
      expect_equal(s.g, g, "g");
      reference::BatchNorm plain = s.norm.ref;
      plain.relu = false, plain.residual.clear();
      const auto d = plain.backward(g, true);

      DeviceArray d_scale(dtype, c.channels), d_bias(dtype, c.channels);
      DeviceValues<NormGradientLine> lines(
          std::vector<NormGradientLine>(static_cast<std::size_t>(c.channels)));
      NormGradientLines to_lines{.rows = c.rows,
                                 .channels = c.channels,
                                 .lines = s.norm.lines.data(),
                                 .sum = s.sums.as<float>(),
                                 .dot = s.sums.as<float>() + c.channels,
                                 .d_scale = d_scale.data(),
                                 .d_bias = d_bias.data(),
                                 .out = lines.data(),
                                 .accumulate_scale = false,
                                 .accumulate_bias = false,
                                 .grad_dtype = dtype};
      run_on_device(to_lines);
      expect_close(d_scale, d.scale, {.k = rows, .scale = size}, "d_scale");
      expect_close(d_bias, d.bias, {.k = rows}, "d_bias");
      expect_close(through_norm(g, s.norm.x.values(), lines.values()), DType::f32, d.x,
                   {.scale = gain * 4 * size}, "dx");

      std::vector<double> twice_scale = d_scale.values(), twice_bias = d_bias.values();
      for (std::size_t k = 0; k < twice_bias.size(); ++k) {
        twice_scale[k] += d.scale[k], twice_bias[k] += d.bias[k];
      }
      to_lines.accumulate_scale = to_lines.accumulate_bias = true;
      run_on_device(to_lines);
      expect_close(d_scale, twice_scale, {.k = rows, .scale = size}, "d_scale accumulated");
      expect_close(d_bias, twice_bias, {.k = rows}, "d_bias accumulated");
    }
  });
}

// In place, and without g.
GPU_CASE(NormAct, MaskMayOverwriteOrBeLeftOut) {
  Step s({129, 33, true, true}, DType::f16);
  run_on_device(s.forward);
  run_on_device(s.backward);
  const std::vector<double> g = s.g.values(), sums = s.sums.values();
  s.backward.g = nullptr;
  run_on_device(s.backward);
  expect_equal(s.sums, sums, "sums without g");
  s.backward.g = s.dy.data();
  run_on_device(s.backward);
  expect_equal(s.dy, g, "g in place");
  expect_equal(s.sums, sums, "sums in place");
}

}  // namespace
}  // namespace convoy::testing
