// SPDX-License-Identifier: MIT
#pragma once
// An operation that was given to NCCL, and whether its communicator has failed since: who waits for
// the one must hear of the other, also when the communicator is gone.

#include <memory>
#include <mutex>
#include <string>

#include "dist/communicator.h"
#include "dist/operation.h"
#include "runtime/stream.h"

namespace convoy::dist {

// Why the communicator is of no use any more, once it is not. The first reason stays.
class NcclFailure {
 public:
  void set(const std::string& text);
  void throw_if_set() const;  // Error

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

// Keeps the memory of both tensors.
class NcclWork final : public Work::State {
 public:
  NcclWork(Operation what, Tensor in, Tensor out, std::shared_ptr<const NcclFailure> failure);

  void wait() override;
  bool has_passed() override;

  const Operation operation;
  const Device device;
  Event come, passed;  // the caller's stream has come to it, the communicator's has passed it

 private:
  const Tensor in_, out_;
  const std::shared_ptr<const NcclFailure> failure_;
};

}  // namespace convoy::dist
