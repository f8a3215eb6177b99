// SPDX-License-Identifier: MIT
// Batch norms, in training. The statistics need all of x before the first y: so forward reads x
// twice and writes y, backward reads x and dy twice and writes dx. What fits into the caches need
// come from memory once only.
#include "kernels/batch_norm.h"

#include <cmath>
#include <set>

#include "apps/kbench/layers.h"
#include "apps/kbench/make.h"

namespace convoy::kbench {
namespace {

constexpr double kEps = 1e-5;

struct Lines {
  std::string name;
  std::int64_t rows, channels;
  double size() const { return static_cast<double>(rows * channels); }
};

// The outputs of a network's convolutions, each size once.
std::vector<Lines> lines(const Request& request) {
  if (request.has("c") || request.has("h") || request.has("w")) {
    const std::int64_t n = request.size("n", 32, 0), height = request.size("h", 56, 0);
    const std::int64_t width = request.size("w", height, 0), channels = request.size("c", 64);
    require_countable({n, height, width, channels});
    if (n * height * width < 2) {
      fail_usage("batch_norm expects more than one value per channel, found {}",
                 n * height * width);
    }
    return {{"axes", n * height * width, channels}};
  }
  std::vector<Lines> all;
  std::set<std::pair<std::int64_t, std::int64_t>> seen;
  for (const ConvLayer& layer : conv_layers(request)) {
    const std::int64_t rows = layer.g.N * layer.g.P * layer.g.Q;
    if (seen.emplace(rows, layer.g.K).second) all.push_back({layer.name, rows, layer.g.K});
  }
  return all;
}

struct Statistics {
  double mean = 0, rstd = 0;
};
Statistics statistics(const HostValues& x, const Lines& l, std::int64_t channel) {
  double sum = 0, squares = 0;
  const auto rows = static_cast<double>(l.rows);
  for (std::int64_t row = 0; row < l.rows; ++row) sum += x[row * l.channels + channel];
  const double mean = sum / rows;
  for (std::int64_t row = 0; row < l.rows; ++row) {
    const double d = x[row * l.channels + channel] - mean;
    squares += d * d;
  }
  return {mean, 1 / std::sqrt(squares / rows + kEps)};
}

// `inputs` are read, and read again; one of their size is written.
Problem describe(const Request& request, const Lines& l, const char* pass, double inputs) {
  const double size = l.size() * static_cast<double>(size_of(request.dtype));
  // beyond_cache is twice what may lie there.
  const bool stays = 2 * inputs * size <= static_cast<double>(beyond_cache(request.device));
  return {.op = "batch_norm",
          .pass = pass,
          .name = l.name,
          .sizes = {{"rows", l.rows}, {"c", l.channels}},
          .dtype = request.dtype,
          .bytes = ((stays ? 1 : 2) * inputs + 1) * size,
          .memory_bound = true,
          .memory = std::make_shared<Operands>(request.device)};
}

Problem forward(const Request& request, const Lines& l) {
  Problem problem = describe(request, l, "forward", 1);
  const auto memory = problem.memory;
  const DType dtype = request.dtype, kept = statistics_dtype(dtype);
  const int x = memory->input(dtype, l.rows * l.channels),
            y = memory->output(dtype, l.rows * l.channels);
  const int scale = memory->input(dtype, l.channels), bias = memory->input(dtype, l.channels);
  const int mean = memory->output(kept, l.channels), rstd = memory->output(kept, l.channels);
  bind(problem, request.device, [=, m = memory.get()](int set) {
    return BatchNormForward{.rows = l.rows,
                            .channels = l.channels,
                            .x = m->data(x, set),
                            .scale = m->data(scale, set),
                            .bias = m->data(bias, set),
                            .mean = m->data(mean, set),
                            .rstd = m->data(rstd, set),
                            .y = m->data(y, set),
                            .eps = kEps,
                            .dtype = dtype};
  });
  problem.expected = [=] {
    const HostValues &from = memory->drawn(x), &gain = memory->drawn(scale),
                     &shift = memory->drawn(bias);
    const auto reference = [=, &from, &gain, &shift](std::int64_t i) {
      const std::int64_t channel = i % l.channels;
      const Statistics s = statistics(from, l, channel);
      return gain[channel] * (from[i] - s.mean) * s.rstd + shift[channel];
    };
    return std::vector<Expected>{
        {y, 1, 4, 2 * static_cast<double>(l.rows), reference},
        {mean, 1, 1, 2 * static_cast<double>(l.rows),
         [=, &from](std::int64_t channel) { return statistics(from, l, channel).mean; }},
        {rstd, 1, 4, 2 * static_cast<double>(l.rows),
         [=, &from](std::int64_t channel) { return statistics(from, l, channel).rstd; }}};
  };
  return problem;
}

// dx = scale rstd (dy - sum(dy) / rows - xhat sum(dy xhat) / rows)
double gradient_at(const Lines& l, const HostValues& x, const HostValues& dy, double gain,
                   const Statistics& s, std::int64_t i) {
  double sum = 0, product = 0;
  for (std::int64_t row = 0; row < l.rows; ++row) {
    const std::int64_t at = row * l.channels + i % l.channels;
    sum += dy[at];
    product += dy[at] * (x[at] - s.mean) * s.rstd;
  }
  const auto rows = static_cast<double>(l.rows);
  return gain * s.rstd * (dy[i] - sum / rows - (x[i] - s.mean) * s.rstd * product / rows);
}

Problem backward(const Request& request, const Lines& l) {
  Problem problem = describe(request, l, "backward", 2);
  const auto memory = problem.memory;
  const DType dtype = request.dtype, kept = statistics_dtype(dtype);
  const std::int64_t count = l.rows * l.channels;
  const int x = memory->input(dtype, count), dy = memory->input(dtype, count);
  const int scale = memory->input(dtype, l.channels);
  // Any numbers do: the formula takes them as they are.
  const int mean = memory->input(kept, l.channels, -0.1, 0.1);
  const int rstd = memory->input(kept, l.channels, 1.5, 2.0);
  const int dx = memory->output(dtype, count);
  const int d_scale = memory->output(kept, l.channels), d_bias = memory->output(kept, l.channels);
  bind(problem, request.device, [=, m = memory.get()](int set) {
    return BatchNormBackward{.rows = l.rows,
                             .channels = l.channels,
                             .x = m->data(x, set),
                             .dy = m->data(dy, set),
                             .scale = m->data(scale, set),
                             .mean = m->data(mean, set),
                             .rstd = m->data(rstd, set),
                             .dx = m->data(dx, set),
                             .d_scale = m->data(d_scale, set),
                             .d_bias = m->data(d_bias, set),
                             .dtype = dtype,
                             .grad_dtype = kept};
  });
  problem.expected = [=] {
    const HostValues &from = memory->drawn(x), &gradient = memory->drawn(dy),
                     &gain = memory->drawn(scale), &means = memory->drawn(mean),
                     &rstds = memory->drawn(rstd);
    const auto rows = static_cast<double>(l.rows);
    const auto of_input = [=, &from, &gradient, &gain, &means, &rstds](std::int64_t i) {
      const std::int64_t c = i % l.channels;
      return gradient_at(l, from, gradient, gain[c], {means[c], rstds[c]}, i);
    };
    const auto of_bias = [=, &gradient](std::int64_t channel) {
      double sum = 0;
      for (std::int64_t row = 0; row < l.rows; ++row) sum += gradient[row * l.channels + channel];
      return sum;
    };
    const auto of_scale = [=, &from, &gradient, &means, &rstds](std::int64_t channel) {
      double sum = 0;
      for (std::int64_t row = 0; row < l.rows; ++row) {
        const std::int64_t at = row * l.channels + channel;
        sum += gradient[at] * (from[at] - means[channel]) * rstds[channel];
      }
      return sum;
    };
    return std::vector<Expected>{{dx, 1, 8, 2 * rows, of_input},
                                 {d_scale, rows, 2, rows, of_scale},
                                 {d_bias, rows, 1, rows, of_bias}};
  };
  return problem;
}

}  // namespace

std::vector<MakeProblem> batch_norm_problems(const Request& request) {
  std::vector<MakeProblem> all;
  for (const Lines& l : lines(request)) {
    if (l.name.find(request.filter) == std::string::npos) continue;
    if (request.wants_pass("forward")) all.push_back([=] { return forward(request, l); });
    if (request.wants_pass("backward")) all.push_back([=] { return backward(request, l); });
  }
  return all;
}

}  // namespace convoy::kbench
