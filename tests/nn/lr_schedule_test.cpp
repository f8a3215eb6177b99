// SPDX-License-Identifier: MIT
#include "nn/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/require.h"

namespace convoy::nn {
namespace {

std::vector<double> rates(const LrSchedule& s, int epochs) {
  std::vector<double> out;
  for (int e = 0; e <= epochs; ++e) out.push_back(learning_rate_at(s, e));
  return out;
}

void expect_rates(const LrSchedule& s, const std::vector<double>& expected) {
  const auto found = rates(s, static_cast<int>(expected.size()) - 1);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 1e-12) << name(s.kind) << " at epoch " << i;
  }
}

TEST(LrSchedule, Constant) { expect_rates({.kind = LrKind::constant}, {0.1, 0.1, 0.1}); }

TEST(LrSchedule, StepDecaysAfterEveryPeriod) {
  expect_rates({.kind = LrKind::step, .learning_rate = 1, .epochs = 6, .decay_epochs = 2},
               {1, 1, 0.1, 0.1, 0.01, 0.01, 0.001});
  EXPECT_EQ(learning_rate_at({.kind = LrKind::step, .min_lr = 0.05, .decay_epochs = 1}, 9), 0.05);
}

TEST(LrSchedule, MultistepDecaysAtMilestones) {
  expect_rates({.kind = LrKind::multistep,
                .learning_rate = 1,
                .epochs = 5,
                .decay_rate = 0.5,
                .milestones = {2, 4}},
               {1, 1, 0.5, 0.5, 0.25, 0.25});
}

// CosineAnnealingLR(T_max=10, eta_min=0.1) of PyTorch 2.15.
TEST(LrSchedule, Cosine) {
  expect_rates(
      {.kind = LrKind::cosine, .learning_rate = 1, .epochs = 10, .min_lr = 0.1},
      {1.0, 0.9779754323328191, 0.9140576474687263, 0.8145033635316129, 0.6890576474687263, 0.55,
       0.41094235253127376, 0.2854966364683872, 0.18594235253127372, 0.12202456766718092, 0.1});
}

TEST(LrSchedule, Poly) {
  expect_rates({.kind = LrKind::poly, .learning_rate = 1, .epochs = 4, .power = 2},
               {1, 0.5625, 0.25, 0.0625, 0});
}

// OneCycleLR(max_lr=1, total_steps=11) of PyTorch 2.15, which rises for 0.3 * 11 - 1 of 10 steps.
TEST(LrSchedule, OneCycle) {
  expect_rates({.kind = LrKind::onecycle, .learning_rate = 1, .epochs = 10, .rise = 0.23},
               {0.04, 0.4223411137347358, 0.9602614247226174, 0.9797465678213015,
                0.8844757247686303, 0.7260870492975283, 0.5305827080875998, 0.3300580289872949,
                0.15743251279950787, 0.041045543206290856, 4e-06});
}

TEST(LrSchedule, WarmUpRisesToTheScheduleInAStraightLine) {
  for (const LrKind kind : {LrKind::constant, LrKind::step, LrKind::multistep, LrKind::cosine,
                            LrKind::poly, LrKind::onecycle, LrKind::plateau}) {
    LrSchedule s{.kind = kind, .learning_rate = 1, .epochs = 20, .milestones = {10}};
    const double end = learning_rate_at(s, 4);
    s.warmup_epochs = 4;
    s.warmup_lr = 0.01;
    EXPECT_DOUBLE_EQ(learning_rate_at(s, 0), 0.01) << name(kind);
    EXPECT_DOUBLE_EQ(learning_rate_at(s, 1), 0.01 + (end - 0.01) / 4) << name(kind);
    EXPECT_DOUBLE_EQ(learning_rate_at(s, 4), end) << name(kind);
  }
}

TEST(LrSchedule, StaysAfterTheEndAndRefusesNegativePositions) {
  const LrSchedule s{.kind = LrKind::cosine, .epochs = 3, .min_lr = 0.01};
  EXPECT_DOUBLE_EQ(learning_rate_at(s, 5), 0.01);
  EXPECT_THROW(learning_rate_at(s, -1), Error);
}

TEST(LrSchedule, NamesAreParsed) {
  EXPECT_EQ(parse_lr_kind("onecycle"), LrKind::onecycle);
  try {
    parse_lr_kind("cosin");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(e.what()).find("cosine, poly"), std::string::npos) << e.what();
  }
}

// ReduceLROnPlateau('min', factor=0.5, patience=2, cooldown=1) of PyTorch 2.15.
TEST(Plateau, FollowsPyTorch) {
  Plateau plateau({.decay_rate = 0.5, .patience = 2, .cooldown = 1});
  const std::vector<double> metrics{1,   0.9, 0.9,  0.9,  0.9,  0.9,          0.9, 0.9,
                                    0.9, 0.8, 0.85, 0.85, 0.85, std::nan(""), 0.85};
  const std::vector<double> expected{1,    1,    1,    1,    0.5,   0.5,   0.5,  0.5,
                                     0.25, 0.25, 0.25, 0.25, 0.125, 0.125, 0.125};
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    plateau.update(metrics[i]);
    EXPECT_EQ(plateau.factor(), expected[i]) << "update " << i;
  }
}

TEST(Plateau, AnAccuracyIsMaximized) {
  Plateau plateau({.patience = 0, .maximize = true, .min_factor = 0.05});
  for (const double accuracy : {10.0, 20.0, 30.0}) plateau.update(accuracy);
  EXPECT_EQ(plateau.factor(), 1);
  plateau.update(30);
  EXPECT_DOUBLE_EQ(plateau.factor(), 0.1);
  plateau.update(30);
  EXPECT_DOUBLE_EQ(plateau.factor(), 0.05);
}

}  // namespace
}  // namespace convoy::nn
