// SPDX-License-Identifier: MIT
#pragma once
// Jobs that keep averages of their weights, on any device, beside loops in double precision: see
// tests/nn/sharded_job.h for what a job is.

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "nn/ema.h"
#include "nn/weights.h"
#include "tests/nn/sharded_job.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn::sharded {

constexpr EmaOptions kQuick{.decay = 0.75, .warmup = true};

// A rank whose buffer changes with every step, by `rank_apart` more on every rank.
struct AveragedRank : Rank<OddParameters> {
  AveragedRank(const Job& j, const std::shared_ptr<RankExchange>& ranks, int zero_stage,
               EmaOptions options = kQuick, double rank_apart = 0)
      : Rank(j, ranks, zero_stage),
        ema(store, options),
        apart(ranks == nullptr ? 0 : rank_apart * ranks->rank()) {}

  void step(int number) {
    ema.begin_step();
    const auto base = static_cast<float>(0.3 * number * number + apart);
    model.buffer.copy_(from_vector<float>({base, -base, 1 / (1 + base)}, {3}));
    Rank::step(number);
    ema.step();
  }
  void steps() {
    for (int i = 0; i < job.steps; ++i) step(i);
  }

  Ema ema;
  double apart;
};

inline Values all_of(const std::vector<NamedTensor>& tensors) {
  Values all;
  for (const NamedTensor& t : tensors) append(all, t.tensor);
  return all;
}

// Values of the model, as it computes with them: padding too, and buffers.
inline Values model_values(const ParameterStore& store) {
  Values all;
  for (const ParameterGroup& group : store.groups()) append(all, group.values);
  append(all, store.buffers().values);
  return all;
}

// Follows the averages of one rank, and how far roundings to f32 may have carried them: in each
// step those of p - a, of 1 - decay, of their product and of the sum.
inline void expect_averages_of_a_double_loop(const Job& job, const EmaOptions& options) {
  AveragedRank rank(job, nullptr, 0, options);
  Values expected = all_of(rank.store.weights(rank.model)), limit(expected.size(), 0);
  int updates = 0;
  for (int t = 0; t < job.steps; ++t) {
    rank.step(t);
    const Values p = all_of(rank.store.weights(rank.model));
    const Values found = all_of(rank.ema.weights(rank.model));
    ASSERT_EQ(found.size(), expected.size());
    const double warm = options.warmup ? 1 - 1 / std::cbrt((1.0 + t) * (1.0 + t)) : options.decay;
    const double decay = static_cast<float>(t == 0 ? 0 : std::min(options.decay, warm));
    for (std::size_t i = 0; i < p.size() && t != job.bad_step; ++i) {
      const double change = (1 - decay) * (p[i] - expected[i]);
      expected[i] += change;
      limit[i] += 0x1p-24 * (std::abs(expected[i]) + 4 * std::abs(change)) + 0x1p-149;
    }
    updates += t != job.bad_step;
    for (std::size_t i = 0; i < p.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], limit[i]) << "step " << t << ", element " << i;
    }
  }
  EXPECT_EQ(rank.optimizer->steps(), updates);
}

inline void expect_averages_serve_for_a_while(const Job& job) {
  AveragedRank rank(job, nullptr, 0);
  rank.steps();
  const Values before = model_values(rank.store);
  const Values averages = all_of(rank.ema.weights(rank.model));
  const Values masters = all_of(rank.store.weights(rank.model));
  EXPECT_NE(averages, masters);
  // Of 8 or 11 bits, f16 with steps of 2^-24 near 0; f32 as they are.
  const double relative = !job.half ? 0 : *job.half == DType::f16 ? 0x1p-11 : 0x1p-8;
  const double least = job.half == DType::f16 ? 0x1p-25 : 0;
  rank.ema.with_averages([&] {
    const Values now = all_of(rank.model.state());
    ASSERT_EQ(now.size(), averages.size());
    for (std::size_t i = 0; i < now.size(); ++i) {
      EXPECT_NEAR(now[i], averages[i], std::max(least, relative * std::abs(averages[i]))) << i;
    }
  });
  EXPECT_EQ(model_values(rank.store), before);
  EXPECT_THROW(rank.ema.with_averages([] { throw std::runtime_error("evaluation"); }),
               std::runtime_error);
  EXPECT_EQ(model_values(rank.store), before);
  EXPECT_EQ(all_of(rank.ema.weights(rank.model)), averages);
  rank.ema.restart();
  EXPECT_EQ(all_of(rank.ema.weights(rank.model)), masters);
}

// What every rank has of averages in the end: whole, and while they serve.
inline std::vector<Values> averages_of_ranks(const Job& job, int world_size, int zero_stage) {
  std::vector<Values> ends(static_cast<std::size_t>(world_size));
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    AveragedRank rank(job, ranks, zero_stage);
    rank.steps();
    Values& end = ends[static_cast<std::size_t>(ranks->rank())];
    end = all_of(rank.ema.weights(rank.model));
    rank.ema.with_averages([&] {
      for (const double value : model_values(rank.store)) end.push_back(value);
    });
    for (const double value : model_values(rank.store)) end.push_back(value);
  });
  return ends;
}

inline void expect_averages_of_shards_equal_the_whole(const Job& job) {
  AveragedRank alone(job, nullptr, 0);
  alone.steps();
  Values expected = all_of(alone.ema.weights(alone.model));
  alone.ema.with_averages([&] {
    for (const double value : model_values(alone.store)) expected.push_back(value);
  });
  for (const double value : model_values(alone.store)) expected.push_back(value);
  for (const int world_size : job.world_sizes) {
    for (const int zero_stage : {0, 1}) {
      const auto ends = averages_of_ranks(job, world_size, zero_stage);
      for (std::size_t r = 0; r < ends.size(); ++r) {
        EXPECT_EQ(ends[r], expected)
            << "rank " << r << " of " << world_size << ", zero stage " << zero_stage;
      }
    }
  }
}

inline void save_averages_at(const Job& job, int world_size, const std::filesystem::path& file) {
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    AveragedRank rank(job, ranks, 1);
    rank.steps();
    const auto weights = rank.ema.weights(rank.model);
    if (ranks->rank() == 0) save_tensors(weights, file);
  });
}

// A job goes on where one of another size was: `alone` has gone one step further.
inline void expect_averages_loaded(const Job& job, int world_size,
                                   const testing::TemporaryFolder& folder, const Values& saved,
                                   const Values& next) {
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    AveragedRank rank(job, ranks, 1);
    load_weights(rank.model, rank.store, folder / "model");
    rank.optimizer->load_state(
        [&](const auto& state) { load_tensors(state, folder / "optimizer", "the optimizer"); });
    rank.ema.load(rank.model,
                  [&](const auto& all) { load_tensors(all, folder / "averages", "the model"); });
    rank.optimizer->set_steps(job.steps);
    EXPECT_EQ(all_of(rank.ema.weights(rank.model)), saved) << "rank " << ranks->rank();
    rank.step(job.steps);
    EXPECT_EQ(all_of(rank.ema.weights(rank.model)), next) << "rank " << ranks->rank();
  });
}

inline void expect_any_job_loads_the_averages_of_any(Job job) {
  job.steps = 2;
  const testing::TemporaryFolder folder;
  AveragedRank alone(job, nullptr, 0);
  alone.steps();
  save_weights(alone.model, alone.store, folder / "model");
  save_tensors(alone.optimizer->state(), folder / "optimizer");
  save_tensors(alone.ema.weights(alone.model), folder / "averages");
  const Values saved = all_of(alone.ema.weights(alone.model));
  alone.step(job.steps);
  const Values next = all_of(alone.ema.weights(alone.model));
  ASSERT_NE(saved, next);
  for (const int world_size : {1, 2, 3, 4, 8}) {
    SCOPED_TRACE(world_size);
    save_averages_at(job, world_size, folder / "of_ranks");
    EXPECT_EQ(testing::file_text(folder / "of_ranks"), testing::file_text(folder / "averages"));
    expect_averages_loaded(job, world_size, folder, saved, next);
  }
}

}  // namespace convoy::nn::sharded
