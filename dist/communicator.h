// SPDX-License-Identifier: MIT
#pragma once
// What ranks say to each other: one interface over NCCL (device memory) and Gloo (host memory,
// `cpu` and `sim`). Every operation is collective: all ranks call the same ones in the same order,
// with the same counts and dtypes. Operations run one after another beside the caller's work, and
// each returns at once:
//
//   Work sum = communicator.all_reduce(gradients);   // reads what the current stream has written
//   ...                                              // backward goes on
//   sum.wait();                                      // later work of the current stream finds it
//
// Reduce-scatter is the primitive, all-reduce is it and an all-gather over the same parts, so a sum
// has the same bits whichever way it is asked for, and on every rank. Over Gloo it is taken in the
// order of the ranks, so its bits do not depend on how a range is cut either. Half types are summed
// in f32 and rounded once.
//
// A rank that is gone, stands still or asks for something else ends the operation with an Error
// that names it; what an operation has thrown, wait() throws. Afterwards the communicator is of no
// use.

#include <cstdint>
#include <memory>
#include <vector>

#include "dist/partition.h"
#include "runtime/tensor.h"

namespace convoy::dist {

// An operation that was started. One that is empty has passed.
class Work {
 public:
  // What an engine knows of an operation under way.
  class State {
   public:
    virtual ~State() = default;
    virtual void wait() = 0;
    virtual bool has_passed() = 0;
  };

  Work() = default;
  explicit Work(std::shared_ptr<State> state) : state_(std::move(state)) {}
  // The current stream's later work finds the result; on cpu and sim the caller waits for it.
  void wait() {
    if (state_) state_->wait();
  }
  bool has_passed() const { return !state_ || state_->has_passed(); }

 private:
  std::shared_ptr<State> state_;
};

// Tensors are dense, f32, f16, bf16 or i64, on the communicator's device, and must not be read or
// written from the call until wait(), which keeps their memory alive. Throws Error for others.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int world_size() const = 0;
  virtual const char* name() const = 0;  // "gloo", "nccl", "single"

  // out [parts.of(rank()).count()] = the sum over ranks of their in [count], this rank's part of
  // it. In place where `out` is that part of `in`: the rest of `in` is then undefined.
  virtual Work reduce_scatter(const Tensor& in, const Tensor& out, const Partition& parts) = 0;
  // out [count] = each rank's in [parts.of(rank).count()], in order. In place where `in` is this
  // rank's part of `out`.
  virtual Work all_gather(const Tensor& in, const Tensor& out, const Partition& parts) = 0;
  // out [count] = the sum over ranks of in [count]; may be `in`. Cut in `parts`.
  virtual Work all_reduce(const Tensor& in, const Tensor& out, const Partition& parts) = 0;
  // data [count] = that of rank `root`.
  virtual Work broadcast(const Tensor& data, int root) = 0;
  // Returns when all ranks have come to it.
  virtual void barrier() = 0;

  // In place, in as equal parts as there are.
  Work all_reduce(const Tensor& data) {
    return all_reduce(data, data, Partition(data.count(), world_size()));
  }
};

// Of one rank: operations copy, or do nothing.
std::unique_ptr<Communicator> single_communicator();

}  // namespace convoy::dist
