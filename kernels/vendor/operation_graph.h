// SPDX-License-Identifier: MIT
#pragma once
// A small graph of operations as cuDNN's backend API takes it, the engines that its heuristics
// offer for the graph, and running one of them.
//
//   OperationGraph graph(library);
//   const Descriptor& x = graph.tensor({.id = 1, .dims = {N, C, H, W}, ...});
//   graph.add(std::move(convolution));
//   EnginePlans plans(std::move(graph), {.handle = handle}, rules);
//   if (const EnginePlan* plan = plans.get(0)) plan->execute(handle, {{1, x}, ...}, workspace);
//
// Tensors have dimensions [N, C, H, W] whatever their order in memory, which their strides say.

#include <array>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/vendor/cudnn.h"

namespace convoy::vendor {

using Extents = std::vector<std::int64_t>;

struct TensorSpec {
  std::int64_t id;
  Extents dims;
  Extents strides;
  cudnnDataType_t type;
  std::int64_t alignment = 16;  // of its address, in bytes
  bool is_virtual = false;      // between two operations: never in memory
  bool by_value = false;        // one number of the host's, f32
};

// Strides of [n, c, h, w] that lies in memory as [n, h, w, c].
Extents channels_last(const Extents& dims);
cudnnDataType_t cudnn_type(DType dtype);
// The largest power of two up to 16 that divides the address.
std::int64_t alignment_of(const void* place);

class OperationGraph {
 public:
  explicit OperationGraph(const Cudnn& library) : library_(&library) {}

  const Cudnn& library() const { return *library_; }
  const Descriptor& tensor(const TensorSpec& spec);
  // In memory as [n, h, w, c].
  const Descriptor& operand(std::int64_t id, const Extents& dims, DType dtype, const void* place);
  const Descriptor& between(std::int64_t id, const Extents& dims);  // f32, never in memory
  const Descriptor& number(std::int64_t id);                        // by value
  Descriptor& operation(cudnnBackendDescriptorType_t type);         // to be given its attributes
  // y = mode(x) or mode(x, b).
  void pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b,
                 const Descriptor& y);
  Descriptor& helper(cudnnBackendDescriptorType_t type);  // kept for the operations that name it
  std::vector<Descriptor>& operations() { return operations_; }

 private:
  const Cudnn* library_;
  std::deque<Descriptor> parts_;  // tensors and what operations point to: addresses stay
  std::vector<Descriptor> operations_;
};

// Whose engines are asked for: those of the handle's device or, in tests, of a described one.
struct Target {
  cudnnHandle_t handle = nullptr;
  const Descriptor* properties = nullptr;
};

// Engines with any of these notes are passed over.
using Rules = std::vector<cudnnBackendNumericalNote_t>;
// For an op of this dtype: sums in f32, no TF32, one rounding of halves; and the same bits each
// time, unless that was given up (kernels/vendor/library.h).
Rules rules_for(DType dtype);

// A tensor's id, and its address or, of one by value, the number.
struct Operand {
  std::int64_t id;
  const void* place;
  float number = 0;  // where the place is null
};

class EnginePlan {
 public:
  EnginePlan(const Cudnn& library, Descriptor&& config, Descriptor&& plan);
  std::size_t workspace_bytes() const { return workspace_bytes_; }
  void execute(cudnnHandle_t handle, const std::vector<Operand>& operands, void* workspace) const;

 private:
  const Cudnn* library_;
  Descriptor config_, plan_;
  std::size_t workspace_bytes_;
};

// The heuristics' engines for a graph, in their order, as far as they can be built: which is slow
// for some, so that each is built when it is first asked for. A graph that the library does not
// support has none.
class EnginePlans {
 public:
  EnginePlans(OperationGraph graph, const Target& target, const Rules& rules);

  // How many there are, counted no further than `limit`.
  std::size_t count(std::size_t limit);
  // The i-th, or null.
  const EnginePlan* get(std::size_t i);

 private:
  bool keeps(const Descriptor& config, const Rules& rules) const;
  bool build_next();

  OperationGraph graph_;
  Target target_;
  std::optional<Descriptor> whole_;
  std::deque<Descriptor> configs_;  // not yet tried
  std::deque<EnginePlan> plans_;
};

}  // namespace convoy::vendor
