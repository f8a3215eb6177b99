// SPDX-License-Identifier: MIT
#include "kernels/conv2d.h"

#include "apps/kbench/layers.h"
#include "apps/kbench/make.h"

namespace convoy::kbench {
namespace {

// Element (n, h, w, c) of a dense image, or 0 outside of it.
double pixel(const HostValues& image, const Shape& shape, std::int64_t n, std::int64_t h,
             std::int64_t w, std::int64_t c) {
  if (h < 0 || h >= shape[1] || w < 0 || w >= shape[2]) return 0;
  return image[((n * shape[1] + h) * shape[2] + w) * shape[3] + c];
}

struct Place {
  std::int64_t n, h, w, c;
};
Place place_of(const Shape& shape, std::int64_t i) {
  return {i / (shape[1] * shape[2] * shape[3]), i / (shape[2] * shape[3]) % shape[1],
          i / shape[3] % shape[2], i % shape[3]};
}

double forward_at(const Conv2dGeometry& g, const HostValues& x, const HostValues& weight,
                  std::int64_t i) {
  const auto [n, p, q, k] = place_of(g.output_shape(), i);
  const std::int64_t channels = g.C / g.groups, first = k / (g.K / g.groups) * channels;
  double sum = 0;
  for (std::int64_t r = 0; r < g.R; ++r) {
    for (std::int64_t s = 0; s < g.S; ++s) {
      const std::int64_t h = p * g.stride_h - g.pad_h + r * g.dilation_h;
      const std::int64_t w = q * g.stride_w - g.pad_w + s * g.dilation_w;
      for (std::int64_t c = 0; c < channels; ++c) {
        sum += pixel(x, g.input_shape(), n, h, w, first + c) *
               weight[((k * g.R + r) * g.S + s) * channels + c];
      }
    }
  }
  return sum;
}

double input_gradient_at(const Conv2dGeometry& g, const HostValues& dy, const HostValues& weight,
                         std::int64_t i) {
  const auto [n, h, w, c] = place_of(g.input_shape(), i);
  const std::int64_t channels = g.C / g.groups, filters = g.K / g.groups;
  double sum = 0;
  for (std::int64_t r = 0; r < g.R; ++r) {
    for (std::int64_t s = 0; s < g.S; ++s) {
      const std::int64_t above = h + g.pad_h - r * g.dilation_h;
      const std::int64_t left = w + g.pad_w - s * g.dilation_w;
      if (above % g.stride_h != 0 || left % g.stride_w != 0) continue;
      for (std::int64_t f = 0; f < filters; ++f) {
        const std::int64_t k = c / channels * filters + f;
        sum += pixel(dy, g.output_shape(), n, above / g.stride_h, left / g.stride_w, k) *
               weight[((k * g.R + r) * g.S + s) * channels + c % channels];
      }
    }
  }
  return sum;
}

double weight_gradient_at(const Conv2dGeometry& g, const HostValues& x, const HostValues& dy,
                          std::int64_t i) {
  const auto [k, r, s, c] = place_of(g.weight_shape(), i);
  const std::int64_t channel = k / (g.K / g.groups) * (g.C / g.groups) + c;
  double sum = 0;
  for (std::int64_t n = 0; n < g.N; ++n) {
    for (std::int64_t p = 0; p < g.P; ++p) {
      for (std::int64_t q = 0; q < g.Q; ++q) {
        sum += pixel(x, g.input_shape(), n, p * g.stride_h - g.pad_h + r * g.dilation_h,
                     q * g.stride_w - g.pad_w + s * g.dilation_w, channel) *
               dy[((n * g.P + p) * g.Q + q) * g.K + k];
      }
    }
  }
  return sum;
}

Problem describe(const Request& request, const ConvLayer& layer, const char* pass) {
  const Conv2dGeometry& g = layer.g;
  const auto count = [](const Shape& shape) { return static_cast<double>(shape.count()); };
  const double terms = static_cast<double>(g.R * g.S * g.C / g.groups);
  return {.op = "conv2d",
          .pass = pass,
          .name = layer.name,
          .sizes = {{"n", g.N},
                    {"c", g.C},
                    {"h", g.H},
                    {"w", g.W},
                    {"k", g.K},
                    {"r", g.R},
                    {"s", g.S},
                    {"stride", g.stride_h},
                    {"pad", g.pad_h},
                    {"groups", g.groups},
                    {"times", layer.count}},
          .dtype = request.dtype,
          .operations = 2 * count(g.output_shape()) * terms,
          .bytes = (count(g.input_shape()) + count(g.weight_shape()) + count(g.output_shape())) *
                   static_cast<double>(size_of(request.dtype)),
          .memory = std::make_shared<Operands>(request.device)};
}

// An element of the result, of both operands as they were drawn.
using ElementOf = double (*)(const Conv2dGeometry&, const HostValues&, const HostValues&,
                             std::int64_t);

// From two operands to one result, each of whose elements sums so many products.
struct Pass {
  const char* name;
  Shape first, second, result;
  std::int64_t terms;
  ElementOf element;
};

// `make_op(first, second, result)` of their memory.
template <class MakeOp>
Problem problem_of(const Request& request, const ConvLayer& layer, const Pass& pass,
                   MakeOp make_op) {
  Problem problem = describe(request, layer, pass.name);
  const auto memory = problem.memory;
  const int first = memory->input(request.dtype, pass.first.count());
  const int second = memory->input(request.dtype, pass.second.count());
  const int result = memory->output(request.dtype, pass.result.count());
  bind(problem, request.device, [=, m = memory.get()](int set) {
    return make_op(m->data(first, set), m->data(second, set), m->data(result, set));
  });
  const auto terms = static_cast<double>(pass.terms);
  problem.expected = [=, g = layer.g, element = pass.element] {
    const HostValues &a = memory->drawn(first), &b = memory->drawn(second);
    return std::vector<Expected>{
        {result, terms, 1, terms, [=, &a, &b](std::int64_t i) { return element(g, a, b, i); }}};
  };
  return problem;
}

Problem forward(const Request& request, const ConvLayer& layer) {
  const Conv2dGeometry g = layer.g;
  const Pass pass{
      "forward", g.input_shape(), g.weight_shape(), g.output_shape(), g.R * g.S * g.C / g.groups,
      forward_at};
  return problem_of(request, layer, pass,
                    [g, dtype = request.dtype](const void* x, const void* weight, void* y) {
                      return Conv2dForward{g, x, weight, y, dtype};
                    });
}

Problem backward_input(const Request& request, const ConvLayer& layer) {
  const Conv2dGeometry g = layer.g;
  const Pass pass{"backward_input", g.output_shape(),           g.weight_shape(),
                  g.input_shape(),  g.R * g.S * g.K / g.groups, input_gradient_at};
  return problem_of(request, layer, pass,
                    [g, dtype = request.dtype](const void* dy, const void* weight, void* dx) {
                      return Conv2dBackwardInput{g, dy, weight, dx, false, dtype};
                    });
}

Problem backward_weight(const Request& request, const ConvLayer& layer) {
  const Conv2dGeometry g = layer.g;
  const Pass pass{"backward_weight", g.input_shape(), g.output_shape(),
                  g.weight_shape(),  g.N * g.P * g.Q, weight_gradient_at};
  return problem_of(request, layer, pass,
                    [g, dtype = request.dtype](const void* x, const void* dy, void* dweight) {
                      return Conv2dBackwardWeight{g, x, dy, dweight, false, nullptr, false, dtype};
                    });
}

}  // namespace

std::vector<MakeProblem> conv2d_problems(const Request& request) {
  std::vector<MakeProblem> all;
  for (const ConvLayer& layer : conv_layers(request)) {
    if (layer.name.find(request.filter) == std::string::npos) continue;
    if (request.wants_pass("forward")) all.push_back([=] { return forward(request, layer); });
    // The gradient to the images is never asked for.
    if (request.wants_pass("backward_input") && (layer.g.C > 3 || layer.name == "axes")) {
      all.push_back([=] { return backward_input(request, layer); });
    }
    if (request.wants_pass("backward_weight")) {
      all.push_back([=] { return backward_weight(request, layer); });
    }
  }
  return all;
}

}  // namespace convoy::kbench
