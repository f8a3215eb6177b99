// SPDX-License-Identifier: MIT
// Optimizers step f32 parameters and write half weights where the dtype is a half.
#include <cmath>

#include "apps/kbench/make.h"
#include "apps/kbench/memory.h"
#include "kernels/optimizer.h"

namespace convoy::kbench {
namespace {

struct Training {
  int parameter, gradient, half;
};
Training training_operands(const MemorySetting& s, Operands& memory) {
  const bool has_half = s.dtype() == DType::f16 || s.dtype() == DType::bf16;
  return {memory.in_out(DType::f32, s.count), memory.input(DType::f32, s.count),
          has_half ? memory.output(s.dtype(), s.count) : -1};
}
HalfCopy half_of(const MemorySetting& s, const Operands& memory, const Training& t, int set) {
  if (t.half < 0) return {};
  return {memory.data(t.half, set), s.dtype()};
}
constexpr double kLearningRate = 0.125;
// On the device, as long as the problem lives.
std::shared_ptr<Tensor> step_state(const Device& device) {
  StepState state;
  state.learning_rate[0] = static_cast<float>(kLearningRate);
  return std::make_shared<Tensor>(from_host(&state, {sizeof(StepState)}, {DType::u8, device}));
}
// What lies on the device is read and written; the gradient and half weights cross once.
void count_step_bytes(const MemorySetting& s, Problem& problem, int states, const Training& t) {
  const double half = t.half < 0 ? 0 : 2;
  problem.bytes = static_cast<double>(s.count) * (4 + 8 + 8 * states + half);
}

}  // namespace

Problem sgd_problem(const MemorySetting& s) {
  Problem problem = s.problem("sgd", {{"count", s.count}});
  const auto memory = problem.memory;
  const Training t = training_operands(s, *memory);
  const int momentum = memory->in_out(DType::f32, s.count);
  const auto state = step_state(s.request.device);
  count_step_bytes(s, problem, 1, t);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return SgdStep{s.count,
                   m->data(t.parameter, set),
                   m->data(t.gradient, set),
                   m->data(momentum, set),
                   static_cast<const StepState*>(state->data()),
                   0,
                   DType::f32,
                   {.momentum = 0.9, .weight_decay = 1e-4},
                   half_of(s, *m, t, set)};
  });
  problem.expected = [=] {
    const HostValues &p = memory->drawn(t.parameter), &g = memory->drawn(t.gradient),
                     &b = memory->drawn(momentum);
    const auto step = [&](std::int64_t i) { return 0.9 * b[i] + g[i] + 1e-4 * p[i]; };
    const auto reference = [=, &p](std::int64_t i) { return p[i] - kLearningRate * step(i); };
    std::vector<Expected> all = {{t.parameter, 1, 2, 1, reference}, {momentum, 1, 2, 1, step}};
    if (t.half >= 0) all.push_back({t.half, 1, 2, 1, reference});
    return all;
  };
  return problem;
}

Problem adamw_problem(const MemorySetting& s) {
  Problem problem = s.problem("adamw", {{"count", s.count}});
  const auto memory = problem.memory;
  const Training t = training_operands(s, *memory);
  const int first = memory->in_out(DType::f32, s.count);
  const int second = memory->in_out(DType::f32, s.count, 0.5, 1);
  const auto state = step_state(s.request.device);
  count_step_bytes(s, problem, 2, t);
  bind(problem, s.request.device, [=, m = memory.get()](int set) {
    return AdamWStep{s.count,
                     m->data(t.parameter, set),
                     m->data(t.gradient, set),
                     m->data(first, set),
                     m->data(second, set),
                     static_cast<const StepState*>(state->data()),
                     0,
                     DType::f32,
                     {},
                     half_of(s, *m, t, set)};
  });
  problem.expected = [=] {
    const HostValues &p = memory->drawn(t.parameter), &g = memory->drawn(t.gradient),
                     &m = memory->drawn(first), &v = memory->drawn(second);
    // Step 1 of AdamW: the averages are divided by 1 - 0.9 and 1 - 0.999.
    const auto average = [&](std::int64_t i) { return 0.9 * m[i] + 0.1 * g[i]; };
    const auto square = [&](std::int64_t i) { return 0.999 * v[i] + 0.001 * g[i] * g[i]; };
    const auto reference = [=, &p](std::int64_t i) {
      return p[i] * (1 - kLearningRate * 0.01) -
             kLearningRate * (average(i) / 0.1) / (std::sqrt(square(i) / 0.001) + 1e-8);
    };
    std::vector<Expected> all = {
        {t.parameter, 1, 4, 1, reference}, {first, 1, 1, 1, average}, {second, 1, 1, 1, square}};
    if (t.half >= 0) all.push_back({t.half, 1, 4, 1, reference});
    return all;
  };
  return problem;
}

}  // namespace convoy::kbench
