// SPDX-License-Identifier: MIT
#include "kernels/vendor/operation_graph.h"

#include <algorithm>

#include "kernels/vendor/library.h"
#include "kernels/vendor/names.h"

namespace convoy::vendor {
namespace {

// Of those that the heuristics offer some break our rules, and some cannot be built.
constexpr std::int64_t kMostConfigs = 64;

}  // namespace

Extents channels_last(const Extents& dims) {
  return {dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1], dims[1]};
}

cudnnDataType_t cudnn_type(DType dtype) {
  if (dtype == DType::f16) return CUDNN_DATA_HALF;
  return dtype == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
}

std::int64_t alignment_of(const void* place) {
  const auto address = reinterpret_cast<std::uintptr_t>(place) | 16;
  return static_cast<std::int64_t>(address & (~address + 1));
}

const Descriptor& OperationGraph::tensor(const TensorSpec& spec) {
  Descriptor& t = helper(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, spec.id);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, spec.type);
  t.set(CUDNN_ATTR_TENSOR_DIMENSIONS, spec.dims);
  t.set(CUDNN_ATTR_TENSOR_STRIDES, spec.strides);
  t.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, spec.alignment);
  t.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, spec.is_virtual);
  t.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, spec.by_value);
  t.finalize("describing a tensor");
  return t;
}

const Descriptor& OperationGraph::operand(std::int64_t id, const Extents& dims, DType dtype,
                                          const void* place) {
  return tensor({.id = id,
                 .dims = dims,
                 .strides = channels_last(dims),
                 .type = cudnn_type(dtype),
                 .alignment = alignment_of(place)});
}

const Descriptor& OperationGraph::between(std::int64_t id, const Extents& dims) {
  return tensor({.id = id,
                 .dims = dims,
                 .strides = channels_last(dims),
                 .type = CUDNN_DATA_FLOAT,
                 .is_virtual = true});
}

const Descriptor& OperationGraph::number(std::int64_t id) {
  return tensor({.id = id,
                 .dims = {1, 1, 1, 1},
                 .strides = {1, 1, 1, 1},
                 .type = CUDNN_DATA_FLOAT,
                 .by_value = true});
}

Descriptor& OperationGraph::helper(cudnnBackendDescriptorType_t type) {
  return parts_.emplace_back(*library_, type);
}

Descriptor& OperationGraph::operation(cudnnBackendDescriptorType_t type) {
  return operations_.emplace_back(*library_, type);
}

void OperationGraph::pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b,
                               const Descriptor& y) {
  Descriptor& how = helper(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, mode);
  how.set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  how.finalize("describing a pointwise operation");
  Descriptor& op = operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
  if (b != nullptr) op.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  op.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  op.finalize("describing a pointwise operation");
}

Rules rules_for(DType dtype) {
  Rules rules;
  if (!nondeterministic_allowed()) rules.push_back(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC);
  if (dtype == DType::f32) {
    // On tensor cores f32 is TF32.
    rules.insert(rules.end(),
                 {CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS, CUDNN_NUMERICAL_NOTE_TENSOR_CORE});
  } else {
    rules.insert(
        rules.end(),
        {CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION, CUDNN_NUMERICAL_NOTE_FFT,
         CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_4x4,
         CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_6x6, CUDNN_NUMERICAL_NOTE_WINOGRAD_TILE_13x13});
  }
  return rules;
}

EnginePlan::EnginePlan(const Cudnn& library, Descriptor&& config, Descriptor&& plan)
    : library_(&library),
      config_(std::move(config)),
      plan_(std::move(plan)),
      workspace_bytes_(static_cast<std::size_t>(
          plan_.value<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE))) {}

void EnginePlan::execute(cudnnHandle_t handle, const std::vector<Operand>& operands,
                         void* workspace) const {
  std::vector<std::int64_t> ids;
  std::vector<void*> places;
  for (const Operand& operand : operands) {
    ids.push_back(operand.id);
    const void* place = operand.place != nullptr ? operand.place : &operand.number;
    places.push_back(const_cast<void*>(place));
  }
  Descriptor pack(*library_, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, places);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, workspace);
  pack.finalize("naming operands");
  check(*library_, library_->cudnnBackendExecute(handle, plan_.get(), pack.get()),
        "running a graph");
}

EnginePlans::EnginePlans(OperationGraph graph, const Target& target, const Rules& rules)
    : graph_(std::move(graph)), target_(target) {
  const Cudnn& library = graph_.library();
  whole_.emplace(library, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (target.handle != nullptr) whole_->set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, target.handle);
  whole_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, graph_.operations());
  if (!whole_->try_finalize()) return;
  Descriptor heuristics(library, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, *whole_);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_HEUR_MODE_A);
  if (target.properties != nullptr) {
    heuristics.set(CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, *target.properties);
  }
  if (!heuristics.try_finalize()) return;
  for (Descriptor& config : heuristics.descriptors(
           CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, kMostConfigs)) {
    if (keeps(config, rules)) configs_.push_back(std::move(config));
  }
}

bool EnginePlans::keeps(const Descriptor& config, const Rules& rules) const {
  const std::vector<Descriptor> engine =
      config.descriptors(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR, 1);
  const auto notes = engine.front().values<cudnnBackendNumericalNote_t>(
      CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  return std::none_of(notes.begin(), notes.end(), [&](cudnnBackendNumericalNote_t note) {
    return std::find(rules.begin(), rules.end(), note) != rules.end();
  });
}

bool EnginePlans::build_next() {
  const Cudnn& library = graph_.library();
  while (!configs_.empty()) {
    Descriptor config = std::move(configs_.front());
    configs_.pop_front();
    Descriptor plan(library, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    if (target_.handle != nullptr) plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, target_.handle);
    if (target_.properties != nullptr) {
      plan.set(CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, *target_.properties);
    }
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (!plan.try_finalize()) continue;
    plans_.emplace_back(library, std::move(config), std::move(plan));
    return true;
  }
  return false;
}

std::size_t EnginePlans::count(std::size_t limit) {
  limit = std::min(limit, kNames.size());
  while (plans_.size() < limit && build_next()) {
  }
  return std::min(plans_.size(), limit);
}

const EnginePlan* EnginePlans::get(std::size_t i) {
  return count(i + 1) > i ? &plans_[i] : nullptr;
}

}  // namespace convoy::vendor
