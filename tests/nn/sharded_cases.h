// SPDX-License-Identifier: MIT
#pragma once
// What is expected of sharded jobs on any device: all ranks together do what one that owns
// everything does, bit for bit, and what one job saves another of any size loads. A program that
// includes this instantiates ShardedSteps.

#include <gtest/gtest.h>

#include <cmath>

#include "nn/weights.h"
#include "tests/nn/sharded_job.h"
#include "tests/support/temporary_folder.h"

namespace convoy::nn::sharded {

template <class Model>
void expect_shards_equal_the_whole(const Job& job) {
  for (const int world_size : job.world_sizes) {
    SCOPED_TRACE(world_size);
    const auto plain = run_ranks<Model>(job, world_size, 0);
    const auto sharded = run_ranks<Model>(job, world_size, 1);
    for (std::size_t r = 0; r < plain.size(); ++r) {
      EXPECT_EQ(plain[r].values, plain[0].values) << "rank " << r;
      EXPECT_EQ(plain[r].whole, plain[0].whole) << "rank " << r;
      EXPECT_EQ(sharded[r].values, plain[0].values) << "rank " << r;
      EXPECT_EQ(sharded[r].whole, plain[0].whole) << "rank " << r;
      EXPECT_EQ(plain[r].figures, plain[0].figures) << "rank " << r;
      EXPECT_EQ(sharded[r].figures, plain[0].figures) << "rank " << r;
      EXPECT_EQ(sharded[r].norms, plain[0].norms) << "rank " << r;
    }
    Rank<Model> alone(job, nullptr, 0);
    alone.steps();
    const End one = end_of(alone);
    EXPECT_EQ(plain[0].figures, one.figures);
    // Norms are summed in another order in double precision, and rounded to float.
    for (std::size_t i = 0; i < one.norms.size(); ++i) {
      EXPECT_NEAR(plain[0].norms[i], one.norms[i], 0x1p-23 * one.norms[i]);
    }
    if (job.clip > 0) continue;
    EXPECT_EQ(plain[0].values, one.values);
    EXPECT_EQ(plain[0].whole, one.whole);
  }
}

inline const std::vector<std::pair<const char*, OptimizerOptions>> kOptimizers{
    {"Sgd", {.kind = sgd, .momentum = 0, .weight_decay = 0.01}},
    {"Momentum", {.kind = sgd, .nesterov = true, .weight_decay = 0.01}},
    {"Adam", {.kind = adam, .weight_decay = 0.01}},
    {"AdamW", {.kind = adamw, .weight_decay = 0.01}},
    {"Rmsprop", {.kind = rmsprop, .weight_decay = 0.01}}};

struct Case {
  std::string name;
  Job job;
};
inline std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
inline std::string case_name(const ::testing::TestParamInfo<Case>& c) { return c.param.name; }

// Every optimizer, with and without clipping, as make_job(options, clip, is_half) wants it.
template <class MakeJob>
std::vector<Case> each_optimizer(const MakeJob& make_job) {
  std::vector<Case> all;
  for (const auto& [name, options] : kOptimizers) {
    for (const double clip : {0.0, 0.3}) {
      const std::string called = fmt::format("{}{}", name, clip > 0 ? "Clipped" : "");
      all.push_back({called, make_job(options, clip, false)});
      all.push_back({called + "Half", make_job(options, clip, true)});
    }
  }
  return all;
}

class ShardedSteps : public ::testing::TestWithParam<Case> {};

TEST_P(ShardedSteps, EqualTheWholeBitForBit) {
  expect_shards_equal_the_whole<OddParameters>(GetParam().job);
}

TEST_P(ShardedSteps, OfFewerParametersThanRanks) {
  expect_shards_equal_the_whole<OneParameter>(GetParam().job);
}

// The norms of whole parameters are summed in another order, in double precision: a ratio may round
// to the next float, and with it each step's update and what momentum keeps of those before.
template <class Model>
void expect_lars_is_near_the_whole(const Device& device, std::optional<DType> half) {
  const Job job{{.kind = lars, .weight_decay = 0.01, .trust_coefficient = 0.02}, device, half};
  const auto masters = [](const Rank<Model>& rank) {
    Values all;
    for (const NamedTensor& t : rank.store.weights(rank.model)) append(all, t.tensor);
    return all;
  };
  Rank<Model> alone(job, nullptr, 0);
  const Values start = masters(alone);
  alone.steps();
  const Values expected = masters(alone);
  for (const int world_size : {2, 3}) {
    const auto found = run_ranks<Model>(job, world_size, 1);
    for (const End& end : found) {
      EXPECT_EQ(end.whole, found[0].whole);
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // Roundings of a step: the ratio, the momentum, the parameter; each is there job.steps
        // times.
        const double limit = 0x1p-23 * 3 * job.steps *
                             (std::abs(expected[i]) + job.steps * std::abs(expected[i] - start[i]));
        ASSERT_NEAR(end.whole[i], expected[i], limit) << i;
      }
    }
  }
}

// A job of `world_size` that has loaded `folder`'s files, before and after another step.
inline std::vector<End> resume(const Job& job, int world_size,
                               const testing::TemporaryFolder& folder, int steps) {
  std::vector<End> ends(static_cast<std::size_t>(world_size));
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    Rank<OddParameters> rank(job, ranks, 1);
    load_weights(rank.model, rank.store, folder / "model");
    rank.optimizer->load_state(
        [&](const auto& state) { load_tensors(state, folder / "optimizer", "the optimizer"); });
    rank.optimizer->set_steps(job.steps);
    for (int i = 0; i < steps; ++i) rank.step(job.steps + i);
    ends[static_cast<std::size_t>(ranks->rank())] = end_of(rank);
  });
  return ends;
}

inline void save_at(const Job& job, int world_size, const testing::TemporaryFolder& folder) {
  replay_ranks(world_size, [&](const std::shared_ptr<RankExchange>& ranks) {
    Rank<OddParameters> rank(job, ranks, 1);
    rank.steps();
    const auto weights = rank.store.weights(rank.model);
    const auto state = rank.optimizer->state();
    if (ranks->rank() != 0) return;
    save_tensors(weights, folder / "model", {{"format", "pt"}});
    save_tensors(state, folder / "optimizer");
  });
}

inline void expect_any_job_loads_what_any_has_saved(Job job) {
  job.steps = 2;
  Rank<OddParameters> alone(job, nullptr, 0);
  alone.steps();
  const testing::TemporaryFolder of_one;
  save_weights(alone.model, alone.store, of_one / "model");
  save_tensors(alone.optimizer->state(), of_one / "optimizer");
  const End saved = end_of(alone);
  alone.step(job.steps);
  const End next = end_of(alone);
  for (const int from : {1, 2, 3, 4, 8}) {
    const testing::TemporaryFolder folder;
    save_at(job, from, folder);
    EXPECT_EQ(testing::file_text(folder / "model"), testing::file_text(of_one / "model")) << from;
    EXPECT_EQ(testing::file_text(folder / "optimizer"), testing::file_text(of_one / "optimizer"))
        << from;
    for (const int to : {1, 2, 3, 4, 8}) {
      SCOPED_TRACE(fmt::format("{} to {}", from, to));
      for (const End& end : resume(job, to, folder, 0)) {
        EXPECT_EQ(end.values, saved.values);
        EXPECT_EQ(end.whole, saved.whole);
      }
      if (to == 1 || from != 2) continue;
      for (const End& end : resume(job, to, folder, 1)) EXPECT_EQ(end.whole, next.whole);
    }
  }
}

}  // namespace convoy::nn::sharded
