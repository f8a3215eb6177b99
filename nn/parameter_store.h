// SPDX-License-Identifier: MIT
#pragma once
// The parameters of a model in flat buffers, one per parameter group, and their gradients and
// optimizer state laid out alike. Each parameter is a slice that starts at a multiple of 256 bytes;
// what lies between slices is zero and stays zero. So an optimizer step, a norm, an all-reduce or a
// shard is one kernel over a range, and needs no table of pointers.
//
//   ParameterStore store(model, device);            // moves the model there
//   loss.backward();                                // writes into the flat gradients
//   store.finish_gradients();                       // parameters that took no part: zero
//   optimizer.step();
//   store.zero_grad();
//
// Mixed precision: with a half dtype the model's parameters become half, and the store keeps their
// masters in f32, beside gradients in f32. Optimizers step the masters and write the parameters,
// rounded, in the same launch; what is saved and loaded is masters. Buffers (running statistics)
// stay f32, in a flat buffer of their own.
//
//   ParameterStore store(model, device, {}, DType::f16);
//
// One rank of many: share() says what it owns (nn/shards.h). What is saved and loaded stays whole.
//
// Model and store share the memory: either may be destroyed first.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nn/module.h"
#include "nn/shards.h"

namespace convoy::nn {

struct NamedSlice {
  std::string name;     // dotted
  Tensor parameter;     // the model's tensor, of a buffer too
  std::int64_t offset;  // in elements, into the group's buffers
  std::int64_t count;   // of elements, without padding
};

struct ParameterGroup {
  bool weight_decay = true;  // false: biases, norms and other one-dimensional parameters
  std::vector<NamedSlice> slices;
  Tensor values;     // [count with padding], the model's parameters
  Tensor masters;    // as values, f32 where those are half; else they are values. With ZeRO stage 1
                     // f32 masters of this rank's ranges alone, one after the other
  Tensor gradients;  // as masters
};

// The model's buffers, which every rank has and writes by itself. In one memory, they have one
// version: a write to any of them is one to all that a backward pass may have saved.
struct BufferGroup {
  std::vector<NamedSlice> slices;
  Tensor values;  // [count with padding]; undefined where the model has no buffers
};

class ParameterStore {
 public:
  // Groups: one with weight decay, one without (parameters of rank 0 and 1), in this order; a group
  // that would be empty is left out. With `one_group` everything is in a single decayed one.
  enum class Grouping : std::uint8_t { no_decay_on_1d, one_group };
  explicit ParameterStore(Module& model, const Device& device = {},
                          Grouping grouping = Grouping::no_decay_on_1d,
                          std::optional<DType> half = {});

  const std::vector<ParameterGroup>& groups() const { return groups_; }
  const BufferGroup& buffers() const { return buffers_; }
  std::int64_t count() const;  // parameters, without padding

  // The next backward() overwrites gradients instead of adding to them.
  void zero_grad();
  // Zeroes the gradients that no backward() has written since zero_grad(). To be called before the
  // flat gradients are read.
  void finish_gradients();

  // From now on this store is one rank's: norms are agreed on, and with ZeRO stage 1 masters other
  // than this rank's are given up. To be called before an optimizer is made. Throws Error for
  // shards that do not fit.
  void share(std::shared_ptr<const Shards> shards);
  const Shards* shards() const { return shards_.get(); }  // null: one rank
  bool is_sharded() const { return shards_ && shards_->zero_stage > 0; }

  // The model's state() with parts of other flat tensors, one for each group and one for the
  // buffers, in place of what it holds. An undefined one leaves the model's own.
  std::vector<NamedTensor> named(const Module& model, const std::vector<Tensor>& groups,
                                 const Tensor& buffers = {}) const;
  // The model's parameters and buffers as its state() has them, but in full precision: masters
  // stand for half parameters. Views, to be saved; of sharded masters copies in host memory, which
  // all ranks have to call for together.
  std::vector<NamedTensor> weights(const Module& model) const;
  // Lets `fill` write such weights, and rounds the masters into the model's parameters.
  using Fill = std::function<void(const std::vector<NamedTensor>&)>;
  void load_weights(const Module& model, const Fill& fill);
  static bool has_masters(const ParameterGroup& group) {
    return group.values.impl() != group.masters.impl();
  }
  // Of this rank, beside the parameters themselves.
  std::int64_t master_bytes() const;
  // Of all groups' parameters in order, the one that StepState::first_bad counts as `index`.
  const std::string& name_of(std::int32_t index) const;

  // Zeros of a group's layout, or of this rank's ranges of it, for optimizer state.
  Tensor state_like(std::size_t group) const;
  // A parameter's part of such a buffer, in the parameter's shape.
  static Tensor view(const Tensor& flat, const NamedSlice& slice);

  // Of a state or masters buffer: itself, or where each rank has its own ranges of it the whole, in
  // host memory. The latter is for all ranks to call together.
  Tensor whole(std::size_t group, const Tensor& flat) const;
  // A place for a whole one to be loaded into: itself, or host memory.
  Tensor place_for_whole(std::size_t group, const Tensor& flat) const;
  // `flat` takes from a whole one what is this rank's.
  void take(std::size_t group, const Tensor& whole, Tensor flat) const;

 private:
  std::vector<ParameterGroup> groups_;
  BufferGroup buffers_;
  std::shared_ptr<const Shards> shards_;
};

}  // namespace convoy::nn
