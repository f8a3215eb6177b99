// SPDX-License-Identifier: MIT
#include "nn/lr_schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "kernels/require.h"

namespace convoy::nn {
namespace {

constexpr std::array<const char*, 7> kNames{"constant", "step",     "multistep", "cosine",
                                            "poly",     "onecycle", "plateau"};

// From `from` to `to` along half a cosine, t in [0, 1].
double cosine_between(double from, double to, double t) {
  return to + (from - to) * (1 + std::cos(std::numbers::pi * t)) / 2;
}

double one_cycle(const LrSchedule& s, double t) {
  const double start = s.learning_rate / s.start_factor;
  if (t < s.rise) return cosine_between(start, s.learning_rate, t / s.rise);
  const double end = start / s.end_factor;
  return s.rise < 1 ? cosine_between(s.learning_rate, end, (t - s.rise) / (1 - s.rise)) : end;
}

double without_warmup(const LrSchedule& s, double epoch) {
  const double t = s.epochs > 0 ? std::clamp(epoch / s.epochs, 0.0, 1.0) : 0;
  const double lr = s.learning_rate;
  switch (s.kind) {
    case LrKind::constant:
    case LrKind::plateau:
      return lr;
    case LrKind::step:
      return std::max(s.min_lr, lr * std::pow(s.decay_rate, std::floor(epoch / s.decay_epochs)));
    case LrKind::multistep: {
      const auto passed = std::upper_bound(s.milestones.begin(), s.milestones.end(), epoch);
      return std::max(s.min_lr, lr * std::pow(s.decay_rate,
                                              static_cast<double>(passed - s.milestones.begin())));
    }
    case LrKind::cosine:
      return cosine_between(lr, s.min_lr, t);
    case LrKind::poly:
      return s.min_lr + (lr - s.min_lr) * std::pow(1 - t, s.power);
    case LrKind::onecycle:
      return one_cycle(s, t);
  }
  fail("learning rate: unknown schedule {}", static_cast<int>(s.kind));
}

}  // namespace

LrKind parse_lr_kind(std::string_view name) {
  const auto at = std::find(kNames.begin(), kNames.end(), name);
  if (at == kNames.end()) {
    fail_usage("--sched: expected one of {}, found '{}'", fmt::join(kNames, ", "), name);
  }
  return static_cast<LrKind>(at - kNames.begin());
}

const char* name(LrKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

double learning_rate_at(const LrSchedule& s, double epoch) {
  require(epoch >= 0, "learning rate: the position expects 0 or more epochs, found {}", epoch);
  if (epoch >= s.warmup_epochs) return without_warmup(s, epoch);
  const double target = without_warmup(s, s.warmup_epochs);
  return s.warmup_lr + (target - s.warmup_lr) * epoch / s.warmup_epochs;
}

void Plateau::update(double metric) {
  const double margin = std::abs(state.best) * options_.threshold;
  const bool better =
      !std::isnan(metric) &&
      (std::isnan(state.best) ||
       (options_.maximize ? metric > state.best + margin : metric < state.best - margin));
  if (better) {
    state.best = metric;
    state.bad_updates = 0;
  } else {
    ++state.bad_updates;
  }
  if (state.cooldown_left > 0) {
    --state.cooldown_left;
    state.bad_updates = 0;
  }
  if (state.bad_updates <= options_.patience) return;
  state.factor = std::max(options_.min_factor, state.factor * options_.decay_rate);
  state.cooldown_left = options_.cooldown;
  state.bad_updates = 0;
}

}  // namespace convoy::nn
