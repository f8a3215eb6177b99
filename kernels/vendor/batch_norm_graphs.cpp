// SPDX-License-Identifier: MIT
#include "kernels/vendor/graphs.h"

namespace convoy::vendor {
namespace {

// Rows are the library's N, of pictures of one pixel. A tensor that is read and written has an id
// for each.
enum : std::int64_t {
  kX = 1,
  kY,
  kScale,
  kBias,
  kMean,
  kRstd,
  kResidual,
  kEpsilon,
  kMomentum,
  kOldMean,
  kOldVar,
  kNewMean,
  kNewVar,
  kDx,
  kDScale,
  kDBias,
  kBetween
};

Extents all_extents(const auto& op) { return {op.rows, op.channels, 1, 1}; }
Extents line_extents(const auto& op) { return {1, op.channels, 1, 1}; }

bool in_f32(DType dtype) { return statistics_dtype(dtype) == DType::f32; }

void set_running(OperationGraph& graph, Descriptor& norm, const BatchNormForward& op) {
  const Extents line = line_extents(op);
  const auto running = [&](std::int64_t id, const void* place) -> const Descriptor& {
    return graph.operand(id, line, DType::f32, place);
  };
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_EXP_AVG_FACTOR_DESC, graph.number(kMomentum));
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_MEAN_DESC,
           running(kOldMean, op.running_mean));
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_INPUT_RUNNING_VAR_DESC, running(kOldVar, op.running_var));
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_MEAN_DESC,
           running(kNewMean, op.running_mean));
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_OUTPUT_RUNNING_VAR_DESC, running(kNewVar, op.running_var));
}

}  // namespace

// The library may read x again after it has begun to write y.
bool suits(const BatchNormForward& op) {
  return in_f32(op.dtype) && op.training && op.rows > 1 && op.channels > 0 && op.scale != nullptr &&
         op.bias != nullptr && op.mean != nullptr && op.rstd != nullptr &&
         (op.running_mean == nullptr) == (op.running_var == nullptr) && op.y != op.x &&
         (op.residual == nullptr || op.y != op.residual);
}

bool suits(const BatchNormBackward& op) {
  const bool accumulates = op.accumulate || op.accumulate_scale || op.accumulate_bias;
  return in_f32(op.dtype) && op.training && op.rows > 1 && op.channels > 0 && !op.relu &&
         !accumulates && op.d_residual == nullptr && op.scale != nullptr && op.dx != nullptr &&
         op.d_scale != nullptr && op.d_bias != nullptr && op.dx != op.x && op.dx != op.dy;
}

OperationGraph graph_of(const Cudnn& library, const BatchNormForward& op) {
  OperationGraph graph(library);
  const Extents all = all_extents(op), line = line_extents(op);
  const Descriptor& x = graph.operand(kX, all, op.dtype, op.x);
  const Descriptor& y = graph.operand(kY, all, op.dtype, op.y);
  const bool adds = op.residual != nullptr;
  const Descriptor& normed = adds || op.relu ? graph.between(kBetween, all) : y;
  const Descriptor& scale = graph.operand(kScale, line, op.dtype, op.scale);
  const Descriptor& bias = graph.operand(kBias, line, op.dtype, op.bias);
  const Descriptor& mean = graph.operand(kMean, line, DType::f32, op.mean);
  const Descriptor& rstd = graph.operand(kRstd, line, DType::f32, op.rstd);
  const Descriptor& epsilon = graph.number(kEpsilon);
  Descriptor& norm = graph.operation(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_BATCH_NORM);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_NORM_FWD_TRAINING);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, x);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, scale);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, bias);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, mean);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, rstd);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, epsilon);
  if (op.running_mean != nullptr) set_running(graph, norm, op);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, normed);
  norm.finalize("describing a norm");
  const Descriptor& added = !adds ? normed : op.relu ? graph.between(kBetween + 1, all) : y;
  if (adds) {
    const Descriptor& residual = graph.operand(kResidual, all, op.dtype, op.residual);
    graph.pointwise(CUDNN_POINTWISE_ADD, normed, &residual, added);
  }
  if (op.relu) graph.pointwise(CUDNN_POINTWISE_RELU_FWD, added, nullptr, y);
  return graph;
}

OperationGraph graph_of(const Cudnn& library, const BatchNormBackward& op) {
  OperationGraph graph(library);
  const Extents all = all_extents(op), line = line_extents(op);
  const DType of_gradient = op.grad_dtype.value_or(op.dtype);
  const Descriptor& x = graph.operand(kX, all, op.dtype, op.x);
  const Descriptor& dy = graph.operand(kY, all, op.dtype, op.dy);
  const Descriptor& dx = graph.operand(kDx, all, op.dtype, op.dx);
  const Descriptor& scale = graph.operand(kScale, line, op.dtype, op.scale);
  const Descriptor& mean = graph.operand(kMean, line, DType::f32, op.mean);
  const Descriptor& rstd = graph.operand(kRstd, line, DType::f32, op.rstd);
  const Descriptor& d_scale = graph.operand(kDScale, line, of_gradient, op.d_scale);
  const Descriptor& d_bias = graph.operand(kDBias, line, of_gradient, op.d_bias);
  Descriptor& norm = graph.operation(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_BATCH_NORM);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, x);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, dy);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, scale);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, mean);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, rstd);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, d_scale);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, d_bias);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, dx);
  norm.finalize("describing a norm's gradient");
  return graph;
}

std::vector<Operand> operands_of(const BatchNormForward& op) {
  std::vector<Operand> all = {{kX, op.x},
                              {kY, op.y},
                              {kScale, op.scale},
                              {kBias, op.bias},
                              {kMean, op.mean},
                              {kRstd, op.rstd},
                              {kEpsilon, nullptr, static_cast<float>(op.eps)}};
  if (op.residual != nullptr) all.push_back({kResidual, op.residual});
  if (op.running_mean != nullptr) {
    all.insert(all.end(), {{kMomentum, nullptr, static_cast<float>(op.momentum)},
                           {kOldMean, op.running_mean},
                           {kOldVar, op.running_var},
                           {kNewMean, op.running_mean},
                           {kNewVar, op.running_var}});
  }
  return all;
}

std::vector<Operand> operands_of(const BatchNormBackward& op) {
  return {{kX, op.x},       {kY, op.dy},      {kDx, op.dx},          {kScale, op.scale},
          {kMean, op.mean}, {kRstd, op.rstd}, {kDScale, op.d_scale}, {kDBias, op.d_bias}};
}

}  // namespace convoy::vendor
