// SPDX-License-Identifier: MIT
#include "kernels/vendor/graphs.h"

namespace convoy::vendor {
namespace {

enum : std::int64_t { kX = 1, kWeight, kY, kBias, kResidual, kBetween };

Extents input_extents(const Conv2dGeometry& g) { return {g.N, g.C, g.H, g.W}; }
Extents weight_extents(const Conv2dGeometry& g) { return {g.K, g.C / g.groups, g.R, g.S}; }
Extents output_extents(const Conv2dGeometry& g) { return {g.N, g.K, g.P, g.Q}; }

const Descriptor& convolution(OperationGraph& graph, const Conv2dGeometry& g) {
  Descriptor& conv = graph.helper(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  conv.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2});
  conv.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  conv.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  conv.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, Extents{g.pad_h, g.pad_w});
  conv.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, Extents{g.pad_h, g.pad_w});
  conv.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, Extents{g.dilation_h, g.dilation_w});
  conv.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, Extents{g.stride_h, g.stride_w});
  conv.finalize("describing a convolution");
  return conv;
}

bool in_f32(DType dtype) { return statistics_dtype(dtype) == DType::f32; }

}  // namespace

bool suits(const Conv2dForward& op) {
  return in_f32(op.dtype) && op.g.output_shape().count() > 0 && op.prologue.lines == nullptr &&
         op.epilogue.statistics.mean == nullptr;
}
bool suits(const Conv2dBackwardInput& op) {
  return in_f32(op.dtype) && op.g.N > 0 && op.prologue.lines == nullptr &&
         op.epilogue.addend == nullptr && op.epilogue.raw == nullptr;
}
bool suits(const Conv2dBackwardWeight& op) {
  return in_f32(op.dtype) && op.g.N > 0 && op.prologue.lines == nullptr &&
         op.gradient_prologue.lines == nullptr && op.dweight != nullptr && op.dbias == nullptr;
}

// y = conv(x, weight), and what the epilogue makes of it: a chain of operations that hand each
// other f32 in no memory, of which the last writes y.
OperationGraph graph_of(const Cudnn& library, const Conv2dForward& op) {
  OperationGraph graph(library);
  const Epilogue& e = op.epilogue;
  const Extents out = output_extents(op.g);
  const Descriptor& x = graph.operand(kX, input_extents(op.g), op.dtype, op.x);
  const Descriptor& weight = graph.operand(kWeight, weight_extents(op.g), op.dtype, op.weight);
  const Descriptor& y = graph.operand(kY, out, op.dtype, op.y);
  int left = (e.bias != nullptr) + (e.residual != nullptr) + (e.activation != Activation::none);
  const auto next = [&]() -> const Descriptor& {
    if (left-- == 0) return y;
    return graph.between(kBetween + left, out);
  };
  const Descriptor* sum = &next();
  const Descriptor& how = convolution(graph, op.g);
  Descriptor& conv = graph.operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, weight);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, *sum);
  conv.finalize("describing a convolution");
  const auto follow = [&](cudnnPointwiseMode_t mode, const Descriptor* b) {
    const Descriptor& result = next();
    graph.pointwise(mode, *sum, b, result);
    sum = &result;
  };
  if (e.bias != nullptr) {
    follow(CUDNN_POINTWISE_ADD, &graph.operand(kBias, {1, op.g.K, 1, 1}, op.dtype, e.bias));
  }
  if (e.residual != nullptr) {
    follow(CUDNN_POINTWISE_ADD, &graph.operand(kResidual, out, op.dtype, e.residual));
  }
  if (e.activation == Activation::relu) follow(CUDNN_POINTWISE_RELU_FWD, nullptr);
  return graph;
}

OperationGraph graph_of(const Cudnn& library, const Conv2dBackwardInput& op) {
  OperationGraph graph(library);
  const Descriptor& dy = graph.operand(kY, output_extents(op.g), op.dtype, op.dy);
  const Descriptor& weight = graph.operand(kWeight, weight_extents(op.g), op.dtype, op.weight);
  const Descriptor& dx = graph.operand(kX, input_extents(op.g), op.dtype, op.dx);
  const Descriptor& how = convolution(graph, op.g);
  Descriptor& conv = graph.operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, op.accumulate ? 1.0f : 0.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, how);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, dy);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, weight);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, dx);
  conv.finalize("describing a convolution's gradient");
  return graph;
}

OperationGraph graph_of(const Cudnn& library, const Conv2dBackwardWeight& op) {
  OperationGraph graph(library);
  const DType of_gradient = op.grad_dtype.value_or(op.dtype);
  const Descriptor& x = graph.operand(kX, input_extents(op.g), op.dtype, op.x);
  const Descriptor& dy = graph.operand(kY, output_extents(op.g), op.dtype, op.dy);
  const Descriptor& dw = graph.operand(kWeight, weight_extents(op.g), of_gradient, op.dweight);
  const Descriptor& how = convolution(graph, op.g);
  Descriptor& conv =
      graph.operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, op.accumulate ? 1.0f : 0.0f);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, how);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, dy);
  conv.set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, dw);
  conv.finalize("describing a convolution's gradient");
  return graph;
}

std::vector<Operand> operands_of(const Conv2dForward& op) {
  std::vector<Operand> all = {{kX, op.x}, {kWeight, op.weight}, {kY, op.y}};
  if (op.epilogue.bias != nullptr) all.push_back({kBias, op.epilogue.bias});
  if (op.epilogue.residual != nullptr) all.push_back({kResidual, op.epilogue.residual});
  return all;
}
std::vector<Operand> operands_of(const Conv2dBackwardInput& op) {
  return {{kY, op.dy}, {kWeight, op.weight}, {kX, op.dx}};
}
std::vector<Operand> operands_of(const Conv2dBackwardWeight& op) {
  return {{kX, op.x}, {kY, op.dy}, {kWeight, op.dweight}};
}

}  // namespace convoy::vendor
