// SPDX-License-Identifier: MIT
#pragma once
// Optimizers over the flat buffers of a ParameterStore. What changes from step to step goes through
// StepState, so the kernels of a step are the same every time:
//
//   Optimizer optimizer(store, {.kind = OptimizerKind::sgd, .momentum = 0.9});
//   optimizer.begin_step(learning_rate);            // zeroes gradients, sets StepState
//   cross_entropy(model(x), y).backward();
//   clip_grad_norm(store, 1.0);                     // if wanted
//   optimizer.step();
//
// Over a store that is one rank's (nn/shards.h) all of this is collective. With ZeRO stage 1 state
// is kept, and values are stepped, in this rank's ranges alone.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/loss_scale.h"
#include "nn/pieces.h"
#include "runtime/step_state.h"

namespace convoy::nn {

enum class OptimizerKind : std::uint8_t { sgd, adam, adamw, rmsprop, lars };
OptimizerKind parse_optimizer_kind(std::string_view name);  // fail_usage lists the names
const char* name(OptimizerKind kind);

// Formulas and defaults are PyTorch's (timm's for lars); kernels/optimizer.h has them.
struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.9;                    // sgd, rmsprop, lars
  bool nesterov = false;                    // sgd, lars
  double weight_decay = 0;                  // of groups that decay
  std::array<double, 2> betas{0.9, 0.999};  // adam, adamw
  double alpha = 0.99;                      // rmsprop
  double eps = 1e-8;                        //
  double trust_coefficient = 0.001;         // lars
};

class Optimizer {
 public:
  // The store must outlive the optimizer.
  Optimizer(ParameterStore& store, const OptimizerOptions& options);

  // Opens a step: the gradients will be overwritten, StepState has the learning rate (the same for
  // all groups), the factor on gradients (1 / valid samples, 1 / accumulation steps), no clip, no
  // loss so far.
  void begin_step(double learning_rate, double gradient_factor = 1);
  // Sets found_inf where a gradient is infinite or NaN, and names the first parameter that has one.
  void check_finite();
  // Updates the parameters, unless found_inf is set, and ends the step in StepState.
  void step(const LossScaling& scaling = {});
  // The host's part of step(), for a step that a graph replays (runtime/graph.h).
  void count_step();

  // Updates so far: steps that were not skipped. Waits for the device.
  std::int64_t steps() const;
  // When a run begins or is resumed: so many steps, of which so many were skipped.
  void set_steps(std::int64_t steps, std::int64_t skipped = 0);
  const OptimizerOptions& options() const { return options_; }

  // What a checkpoint holds, by parameter and without padding: "momentum_buffer.conv1.weight".
  // Views of the state; of sharded state copies in host memory, whole on every rank.
  std::vector<NamedTensor> state() const;
  // Lets `fill` write such a state, whatever number of ranks it was saved by.
  void load_state(const ParameterStore::Fill& fill);
  // What ZeRO cuts into shards: state, and masters of half parameters, as this rank holds them.
  std::int64_t optimizer_bytes() const;

 private:
  struct GroupState {
    Tensor first, second;  // momentum_buffer; exp_avg, exp_avg_sq; square_avg, momentum_buffer
    Pieces pieces;         // what is stepped
    std::int32_t first_parameter;  // of all groups' in order
  };
  StepStateBuffer& step_state() const;
  Stream stream() const;
  void agree_on_finite();
  void gather_squares();
  void sum_squares(std::size_t group, const Piece& piece, const Tensor& sums);
  SquaresOfRanks squares_of(std::int64_t parameter) const;
  void step_piece(std::size_t index, const Piece& piece);
  using FlatState = std::array<Tensor, 2>;  // first and second
  std::vector<NamedTensor> named(std::size_t group, const FlatState& flat) const;

  ParameterStore& store_;
  OptimizerOptions options_;
  std::vector<GroupState> states_;
  Tensor squares_;  // [ranks, parameters, 2], of this step of lars over shards
};

// Scales the gradients of this step so that their norm over all groups is at most max_norm, as
// PyTorch's clip_grad_norm_: by StepState's clip_factor, the gradients themselves stay. A norm that
// is not finite sets found_inf. To be called between backward() and step(). The norm before
// clipping is StepState's gradient_norm: a step's report has it.
void clip_grad_norm(ParameterStore& store, double max_norm);

}  // namespace convoy::nn
