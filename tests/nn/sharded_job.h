// SPDX-License-Identifier: MIT
#pragma once
// Jobs of ranks that each own a part of the flat buffers, on any device, and what they have in the
// end.
//
//   const Job job{{.kind = adamw}, device, DType::f16};
//   for (const End& end : run_ranks<OddParameters>(job, 3, 1)) ...   // ZeRO stage 1

#include <limits>

#include "kernels/copy.h"
#include "nn/init.h"
#include "nn/optimizer.h"
#include "runtime/run.h"
#include "runtime/step_reports.h"
#include "tests/support/compare.h"
#include "tests/support/replayed_ranks.h"

namespace convoy::nn::sharded {

using enum OptimizerKind;
using testing::replay_ranks;

// Parameters of odd sizes: some shorter than a rank's part, one longer than a chunk of any kernel.
class OddParameters : public Module {
 public:
  OddParameters() {
    int i = 0;
    for (const Shape& shape : {Shape{7, 13}, Shape{1}, Shape{3}, Shape{67, 9}, Shape{131}}) {
      list.push_back(add_parameter(fmt::format("p{}", i++), shape, Init::constant(0)));
    }
    buffer = add_buffer("buffer", {3}, 1);
  }
  Tensor forward(const Tensor& x) override { return x; }
  std::vector<Tensor> list;
  Tensor buffer;
};

class OneParameter : public Module {
 public:
  OneParameter() { add_parameter("weight", {1, 2}, Init::constant(0)); }
  Tensor forward(const Tensor& x) override { return x; }
};

// The buffers in buckets of 192 elements, and each bucket in parts of whole 64 elements: the last
// ranks own less, or nothing.
inline std::shared_ptr<Shards> cut(const ParameterStore& store, std::shared_ptr<RankExchange> ranks,
                                   int zero_stage) {
  constexpr std::int64_t kBucket = 192, kUnit = 64;
  const int world_size = ranks->world_size();
  auto shards = std::make_shared<Shards>();
  shards->exchange = std::move(ranks);
  shards->zero_stage = zero_stage;
  shards->parts.resize(static_cast<std::size_t>(world_size));
  for (int r = 0; r < world_size; ++r) {
    for (const ParameterGroup& group : store.groups()) {
      Shards::Ranges own;
      for (std::int64_t b = 0; b < group.values.count(); b += kBucket) {
        const std::int64_t end = std::min(b + kBucket, group.values.count());
        const std::int64_t units = (end - b + kUnit - 1) / kUnit;
        const std::int64_t part = (units + world_size - 1) / world_size * kUnit;
        own.push_back({std::min(b + r * part, end), std::min(b + (r + 1) * part, end)});
      }
      shards->parts[static_cast<std::size_t>(r)].push_back(own);
    }
  }
  return shards;
}

struct Job {
  OptimizerOptions options;
  Device device = {};
  std::optional<DType> half = {};
  double clip = 0;
  int steps = 3;
  int bad_step = -1;  // of these gradients one is infinite
  std::vector<int> world_sizes{1, 2, 3, 4};
};

using Values = std::vector<double>;

inline Values to_doubles(const Tensor& t) {
  Tensor wide = empty(t.shape(), {DType::f64});
  const Tensor host = t.detach().to({}).contiguous();
  run(Cast{host.count(), host.data(), host.dtype(), wide.data(), DType::f64}, wide.stream());
  return to_vector<double>(wide);
}

// One rank's part of a job.
template <class Model>
struct Rank {
  Rank(const Job& j, const std::shared_ptr<RankExchange>& ranks, int zero_stage)
      : job(j), store(filled(model), job.device, {}, job.half) {
    if (ranks != nullptr) store.share(cut(store, ranks, zero_stage));
    optimizer = std::make_unique<Optimizer>(store, job.options);
    optimizer->set_steps(0);
  }
  static Module& filled(Module& model) {
    std::uint32_t seed = 1;
    for (const NamedTensor& p : model.parameters()) {
      p.tensor.detach().copy_(
          from_vector(testing::random_values<float>(p.tensor.count(), ++seed), p.tensor.shape()));
    }
    return model;
  }

  void set_gradients(int step) {
    std::uint32_t seed = static_cast<std::uint32_t>(1000 * (step + 1));
    const auto all = model.parameters();
    for (const NamedTensor& p : all) {
      auto g = testing::random_values<float>(p.tensor.count(), ++seed);
      if (step == job.bad_step && &p == &all.back()) {
        g.back() = std::numeric_limits<float>::infinity();
      }
      const Tensor gradient = from_vector(g, p.tensor.shape(), job.device);
      p.tensor.backward(p.tensor.dtype() == DType::f32 ? gradient : halved(gradient));
    }
  }
  Tensor halved(const Tensor& x) const {
    const Tensor y = empty(x.shape(), {*job.half, x.device()});
    run(Cast{x.count(), x.data(), x.dtype(), y.data(), y.dtype()}, x.stream());
    return y;
  }
  void step(int number) {
    optimizer->begin_step(0.05, 0.5);
    set_gradients(number);
    if (job.clip > 0) clip_grad_norm(store, job.clip);
    optimizer->check_finite();
    optimizer->step();
    if (store.is_sharded()) gather_values();
    StepReports reports(job.device);
    reports.push(current_stream(job.device));
    const StepState report = reports.wait();
    figures.push_back(static_cast<double>(report.updates));
    figures.push_back(report.first_bad);
    if (job.clip > 0) norms.push_back(report.gradient_norm);
  }
  // Other ranks' values, as a job has them before its next forward pass.
  void gather_values() {
    for (std::size_t g = 0; g < store.groups().size(); ++g) {
      Tensor values = store.groups()[g].values;
      values.copy_(store.whole(g, take_own(store.shards()->own(g), values)));
    }
  }
  void steps() {
    for (int i = 0; i < job.steps; ++i) step(i);
  }

  Job job;
  Model model;
  ParameterStore store;
  std::unique_ptr<Optimizer> optimizer;
  Values figures, norms;  // of each step
};

// What a job has in the end: values (of a shard put together), then whole masters and state.
struct End {
  Values values, whole, figures, norms;
  std::int64_t bytes = 0;
};

inline void append(Values& all, const Tensor& t) {
  const Values more = to_doubles(t);
  all.insert(all.end(), more.begin(), more.end());
}

template <class Model>
End end_of(const Rank<Model>& rank) {
  End end;
  for (const ParameterGroup& group : rank.store.groups()) append(end.values, group.values);
  for (const NamedTensor& t : rank.store.weights(rank.model)) append(end.whole, t.tensor);
  for (const NamedTensor& t : rank.optimizer->state()) append(end.whole, t.tensor);
  end.figures = rank.figures;
  end.norms = rank.norms;
  end.bytes = rank.optimizer->optimizer_bytes();
  return end;
}

template <class Model>
std::vector<End> run_ranks(const Job& job, int world_size, int zero_stage) {
  std::vector<End> ends(static_cast<std::size_t>(world_size));
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    Rank<Model> rank(job, ranks, zero_stage);
    rank.steps();
    ends[static_cast<std::size_t>(ranks->rank())] = end_of(rank);
  });
  return ends;
}

}  // namespace convoy::nn::sharded
