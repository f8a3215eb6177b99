// SPDX-License-Identifier: MIT
// Kernels that do little more than move memory. Each is measured on `--count` elements; bytes are
// those that must cross: every operand once.
#include <cmath>

#include "apps/kbench/make.h"
#include "apps/kbench/memory.h"
#include "kernels/binary.h"
#include "kernels/copy.h"
#include "kernels/elementwise.h"
#include "kernels/layer_norm.h"
#include "kernels/pool2d.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace convoy::kbench {
namespace {

// Everything that was declared is moved once.
void count_bytes(Problem& problem) {
  problem.bytes = static_cast<double>(problem.memory->bytes_per_set());
}

Problem copy(const MemorySetting& s) {
  Problem problem = s.problem("copy", {{"count", s.count}});
  const auto memory = problem.memory;
  const int x = memory->input(s.dtype(), s.count), y = memory->output(s.dtype(), s.count);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return Copy{{s.count}, {1}, {1}, m->data(x, set), m->data(y, set), s.dtype()};
  });
  problem.expected = [=] {
    return std::vector<Expected>{
        {y, 1, 0, 1, [&from = memory->drawn(x)](std::int64_t i) { return from[i]; }}};
  };
  return problem;
}

Problem cast(const MemorySetting& s) {
  Problem problem = s.problem("cast", {{"count", s.count}});
  const auto memory = problem.memory;
  const int x = memory->input(DType::f32, s.count), y = memory->output(s.dtype(), s.count);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return Cast{s.count, m->data(x, set), DType::f32, m->data(y, set), s.dtype()};
  });
  problem.expected = [=] {
    return std::vector<Expected>{
        {y, 1, 1, 1, [&from = memory->drawn(x)](std::int64_t i) { return from[i]; }}};
  };
  return problem;
}

Problem relu(const MemorySetting& s) {
  Problem problem = s.problem("relu", {{"count", s.count}});
  const auto memory = problem.memory;
  const int x = memory->input(s.dtype(), s.count), y = memory->output(s.dtype(), s.count);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return Unary{UnaryFn::relu, s.count, m->data(x, set), m->data(y, set), s.dtype()};
  });
  problem.expected = [=] {
    return std::vector<Expected>{{y, 1, 0, 1, [&from = memory->drawn(x)](std::int64_t i) {
                                    return std::max(from[i], 0.0);
                                  }}};
  };
  return problem;
}

Problem relu_backward(const MemorySetting& s) {
  Problem problem = s.problem("relu_backward", {{"count", s.count}});
  const auto memory = problem.memory;
  const int y = memory->input(s.dtype(), s.count), dy = memory->input(s.dtype(), s.count);
  const int dx = memory->output(s.dtype(), s.count);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return UnaryBackward{UnaryFn::relu,    s.count,          m->data(y, set),
                         m->data(dy, set), m->data(dx, set), s.dtype()};
  });
  problem.expected = [=] {
    const HostValues &output = memory->drawn(y), &gradient = memory->drawn(dy);
    return std::vector<Expected>{
        {dx, 1, 0, 1, [&](std::int64_t i) { return output[i] > 0 ? gradient[i] : 0.0; }}};
  };
  return problem;
}

Problem add(const MemorySetting& s) {
  Problem problem = s.problem("add", {{"count", s.count}});
  const auto memory = problem.memory;
  const int a = memory->input(s.dtype(), s.count), b = memory->input(s.dtype(), s.count);
  const int y = memory->output(s.dtype(), s.count);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return dense_binary(BinaryFn::add, s.count, m->data(a, set), m->data(b, set), m->data(y, set),
                        s.dtype());
  });
  problem.expected = [=] {
    const HostValues &left = memory->drawn(a), &right = memory->drawn(b);
    return std::vector<Expected>{{y, 1, 1, 1, [&](std::int64_t i) { return left[i] + right[i]; }}};
  };
  return problem;
}

struct Rows {
  std::int64_t rows, columns;
};
Rows rows_of(std::int64_t count, std::int64_t columns) { return {count / columns + 1, columns}; }

Problem column_sum(const MemorySetting& s) {
  const Rows r = rows_of(s.count, 256);
  Problem problem = s.problem("column_sum", {{"rows", r.rows}, {"columns", r.columns}});
  const auto memory = problem.memory;
  const int x = memory->input(s.dtype(), r.rows * r.columns);
  const int y = memory->output(s.dtype(), r.columns);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return ReduceSum{{r.rows, r.columns}, {r.columns, 1},  1u,
                     m->data(x, set),     m->data(y, set), s.dtype()};
  });
  problem.expected = [=] {
    const auto terms = static_cast<double>(r.rows);
    return std::vector<Expected>{
        {y, terms, 1, terms, [=, &from = memory->drawn(x)](std::int64_t column) {
           double sum = 0;
           for (std::int64_t row = 0; row < r.rows; ++row) sum += from[row * r.columns + column];
           return sum;
         }}};
  };
  return problem;
}

Problem softmax(const MemorySetting& s) {
  const Rows r = rows_of(s.count, 1000);
  Problem problem = s.problem("softmax", {{"rows", r.rows}, {"columns", r.columns}});
  const auto memory = problem.memory;
  const int x = memory->input(s.dtype(), r.rows * r.columns, -4, 4);
  const int y = memory->output(s.dtype(), r.rows * r.columns);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return SoftmaxForward{.rows = r.rows,
                          .classes = r.columns,
                          .x = m->data(x, set),
                          .y = m->data(y, set),
                          .dtype = s.dtype()};
  });
  problem.expected = [=] {
    const auto cost = 20 * static_cast<double>(r.columns);
    return std::vector<Expected>{{y, 1, 1, cost, [=, &from = memory->drawn(x)](std::int64_t i) {
                                    double sum = 0;
                                    const std::int64_t begin = i / r.columns * r.columns;
                                    for (std::int64_t j = 0; j < r.columns; ++j) {
                                      sum += std::exp(from[begin + j]);
                                    }
                                    return std::exp(from[i]) / sum;
                                  }}};
  };
  return problem;
}

Problem layer_norm(const MemorySetting& s) {
  const Rows r = rows_of(s.count, 768);
  Problem problem = s.problem("layer_norm", {{"rows", r.rows}, {"columns", r.columns}});
  const auto memory = problem.memory;
  const DType kept = statistics_dtype(s.dtype());
  const int x = memory->input(s.dtype(), r.rows * r.columns);
  const int y = memory->output(s.dtype(), r.rows * r.columns);
  const int mean = memory->output(kept, r.rows), rstd = memory->output(kept, r.rows);
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return LayerNormForward{.rows = r.rows,
                            .channels = r.columns,
                            .x = m->data(x, set),
                            .mean = m->data(mean, set),
                            .rstd = m->data(rstd, set),
                            .y = m->data(y, set),
                            .dtype = s.dtype()};
  });
  problem.expected = [=] {
    const auto columns = static_cast<double>(r.columns);
    const auto mean_of = [=, &from = memory->drawn(x)](std::int64_t row) {
      double sum = 0;
      for (std::int64_t j = 0; j < r.columns; ++j) sum += from[row * r.columns + j];
      return sum / columns;
    };
    const auto rstd_of = [=, &from = memory->drawn(x)](std::int64_t row) {
      double squares = 0;
      const double middle = mean_of(row);
      for (std::int64_t j = 0; j < r.columns; ++j) {
        squares += std::pow(from[row * r.columns + j] - middle, 2);
      }
      return 1 / std::sqrt(squares / columns + 1e-5);
    };
    return std::vector<Expected>{{y, 1, 4, 3 * columns,
                                  [=, &from = memory->drawn(x)](std::int64_t i) {
                                    const std::int64_t row = i / r.columns;
                                    return (from[i] - mean_of(row)) * rstd_of(row);
                                  }},
                                 {mean, 1, 1, columns, mean_of},
                                 {rstd, 1, 4, 2 * columns, rstd_of}};
  };
  return problem;
}

// resnet50's only one: 3 x 3 with stride 2 over [N, 112, 112, 64].
Problem max_pool2d(const MemorySetting& s) {
  const std::int64_t size = s.count < 64 * 112 * 112 ? 14 : 112, channels = 64;
  const Shape shape{s.count / (size * size * channels) + 1, size, size, channels};
  const Pool2dGeometry g = pool2d_geometry(
      "max_pool2d", shape, {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
  Problem problem =
      s.problem("max_pool2d", {{"n", shape[0]}, {"h", size}, {"w", size}, {"c", channels}});
  const auto memory = problem.memory;
  const int x = memory->input(s.dtype(), shape.count());
  const int y = memory->output(s.dtype(), g.output_shape().count());
  const int indices = memory->output(DType::i32, g.output_shape().count());
  count_bytes(problem);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return MaxPool2dForward{g, m->data(x, set), m->data(y, set),
                            static_cast<std::int32_t*>(m->data(indices, set)), s.dtype()};
  });
  problem.expected = [=] {
    // Of the first largest pixel in the window: its place in x, and h * W + w.
    const auto largest = [=, &from = memory->drawn(x)](std::int64_t i) {
      const std::int64_t out = g.w.out, c = i % channels, q = i / channels % out;
      const std::int64_t p = i / (channels * out) % g.h.out, n = i / (channels * out * g.h.out);
      std::pair<std::int64_t, std::int64_t> found{-1, -1};
      for (std::int64_t h = std::max<std::int64_t>(2 * p - 1, 0);
           h <= std::min(2 * p + 1, size - 1); ++h) {
        for (std::int64_t w = std::max<std::int64_t>(2 * q - 1, 0);
             w <= std::min(2 * q + 1, size - 1); ++w) {
          const std::int64_t at = ((n * size + h) * size + w) * channels + c;
          if (found.first < 0 || from[at] > from[found.first]) found = {at, h * size + w};
        }
      }
      return found;
    };
    return std::vector<Expected>{
        {y, 1, 0, 9,
         [=, &from = memory->drawn(x)](std::int64_t i) { return from[largest(i).first]; }},
        {indices, 1, 0, 9, [=](std::int64_t i) { return static_cast<double>(largest(i).second); }}};
  };
  return problem;
}

struct Named {
  const char* name;
  Problem (*make)(const MemorySetting&);
};
constexpr Named kKernels[] = {
    {"copy", copy},
    {"cast", cast},
    {"relu", relu},
    {"relu_backward", relu_backward},
    {"add", add},
    {"column_sum", column_sum},
    {"softmax", softmax},
    {"layer_norm", layer_norm},
    {"max_pool2d", max_pool2d},
    {"sgd", sgd_problem},
    {"adamw", adamw_problem},
};

std::int64_t usual_count(const Device& device) {
  if (device.type == DeviceType::cuda) return std::int64_t{1} << 26;
  return std::int64_t{1} << (device.type == DeviceType::cpu ? 22 : 12);
}

}  // namespace

std::vector<MakeProblem> memory_problems(const Request& request) {
  const MemorySetting setting{request, request.size("count", usual_count(request.device), 1)};
  std::vector<MakeProblem> all;
  for (const Named& kernel : kKernels) {
    if (!request.wants_pass(kernel.name)) continue;
    if (std::string(kernel.name).find(request.filter) == std::string::npos) continue;
    all.push_back([=] { return kernel.make(setting); });
  }
  return all;
}

}  // namespace convoy::kbench
