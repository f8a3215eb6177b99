// SPDX-License-Identifier: MIT
#pragma once
// Learning-rate schedules as functions of the position in the run. The position is in epochs and
// may have a fraction, so one function serves both updates per step and per epoch:
//
//   LrSchedule s{.kind = LrKind::cosine, .learning_rate = 0.1, .epochs = 90, .warmup_epochs = 5};
//   double lr = learning_rate_at(s, epoch + double(step) / steps_per_epoch);
//
// Warm-up replaces the beginning of every schedule by a straight line from warmup_lr to the value
// that the schedule has at its end.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace convoy::nn {

enum class LrKind : std::uint8_t {
  constant,   //
  step,       // times decay_rate after every decay_epochs
  multistep,  // times decay_rate after each milestone
  cosine,     // half a cosine down to min_lr; Loshchilov and Hutter, arXiv:1608.03983
  poly,       // (1 - t / epochs)^power down to min_lr
  onecycle,   // up, then far down, in cosines; Smith and Topin, arXiv:1708.07120
  plateau     // times decay_rate when a metric stops getting better: see Plateau
};
LrKind parse_lr_kind(std::string_view name);  // fail_usage lists the names
const char* name(LrKind kind);

struct LrSchedule {
  LrKind kind = LrKind::cosine;
  double learning_rate = 0.1;
  double epochs = 1;  // length of the run
  double warmup_epochs = 0;
  double warmup_lr = 0;
  double min_lr = 0;         // where cosine and poly end; the floor of step and multistep
  double decay_rate = 0.1;   // step, multistep, plateau
  double decay_epochs = 30;  // step
  std::vector<double> milestones = {};  // multistep, ascending
  double power = 0.5;                   // poly
  double start_factor = 25;             // onecycle: starts at learning_rate / start_factor
  double end_factor = 1e4;              // and ends at the start / end_factor
  double rise = 0.3;                    // onecycle: the part of the run that goes up
};

// The rate at `epoch`, 0 <= epoch <= epochs; beyond the end it stays. Plateau gives its start.
double learning_rate_at(const LrSchedule& schedule, double epoch);

// ReduceLROnPlateau: remembers the best metric and multiplies the rate once it has not improved for
// more than `patience` updates. Improvement is relative to the best by more than `threshold`.
struct PlateauOptions {
  double decay_rate = 0.1;
  int patience = 10;
  int cooldown = 0;  // updates after a decay that do not count
  double threshold = 1e-4;
  bool maximize = false;  // true for an accuracy, false for a loss
  double min_factor = 0;  // factor() never falls below
};

class Plateau {
 public:
  // All that a checkpoint must hold.
  struct State {
    double factor = 1;
    double best = std::numeric_limits<double>::quiet_NaN();  // NaN: nothing seen yet
    int bad_updates = 0;
    int cooldown_left = 0;
  };

  explicit Plateau(const PlateauOptions& options) : options_(options) {}
  // Takes the metric of one epoch. A NaN counts as no improvement.
  void update(double metric);
  double factor() const { return state.factor; }  // to multiply the learning rate with

  State state;

 private:
  PlateauOptions options_;
};

}  // namespace convoy::nn
