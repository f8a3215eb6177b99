// SPDX-License-Identifier: MIT
#pragma once
// What an op reads and writes: a function called with each place that is used and its size in
// bytes, so that an op can be moved to other memory of the same sizes.
//
//   for_each_operand(op, [&](auto& place, std::int64_t bytes) { place = take(bytes); });

#include <cstdint>

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gemm.h"

namespace convoy {

namespace operands {

inline std::int64_t bytes(std::int64_t count, DType dtype) {
  return count * static_cast<std::int64_t>(size_of(dtype));
}
// Only of places that the op uses.
template <class Place, class F>
void visit(Place& place, std::int64_t size, F& f) {
  if (place != nullptr) f(place, size);
}
template <class F>
void visit(Prologue& prologue, std::int64_t channels, F& f) {
  visit(prologue.lines, channels * static_cast<std::int64_t>(sizeof(NormLine)), f);
}
template <class F>
void visit(GradientPrologue& prologue, const Conv2dGeometry& g, DType dtype, F& f) {
  visit(prologue.raw, bytes(g.output_shape().count(), dtype), f);
  visit(prologue.lines, g.K * static_cast<std::int64_t>(sizeof(NormGradientLine)), f);
}

template <class F>
void visit(Epilogue& epilogue, std::int64_t columns, DType dtype, std::int64_t result_bytes, F& f) {
  visit(epilogue.bias, bytes(columns, dtype), f);
  visit(epilogue.residual, result_bytes, f);
  visit(epilogue.statistics.mean, bytes(columns, DType::f32), f);
  visit(epilogue.statistics.var, bytes(columns, DType::f32), f);
}

}  // namespace operands

template <class F>
void for_each_operand(Gemm& op, F f) {
  using operands::bytes, operands::visit;
  const std::int64_t last = op.batch - 1;
  visit(op.a, bytes(last * op.stride_a + (op.transpose_a ? op.K : op.M) * op.lda, op.dtype), f);
  visit(op.b, bytes(last * op.stride_b + (op.transpose_b ? op.N : op.K) * op.ldb, op.dtype), f);
  const DType out = op.out_dtype.value_or(op.dtype);
  const std::int64_t like_c = bytes(last * op.stride_c + op.M * op.ldc, out);
  visit(op.c, like_c, f);
  visit(op.epilogue, op.N, op.dtype, like_c, f);
}

template <class F>
void for_each_operand(Conv2dForward& op, F f) {
  using operands::bytes, operands::visit;
  visit(op.x, bytes(op.g.input_shape().count(), op.dtype), f);
  visit(op.weight, bytes(op.g.weight_shape().count(), op.dtype), f);
  const std::int64_t like_y = bytes(op.g.output_shape().count(), op.dtype);
  visit(op.y, like_y, f);
  visit(op.prologue, op.g.C, f);
  visit(op.epilogue, op.g.K, op.dtype, like_y, f);
}

template <class F>
void for_each_operand(Conv2dBackwardInput& op, F f) {
  using operands::bytes, operands::visit;
  const std::int64_t like_dx = bytes(op.g.input_shape().count(), op.dtype);
  visit(op.dy, bytes(op.g.output_shape().count(), op.dtype), f);
  visit(op.weight, bytes(op.g.weight_shape().count(), op.dtype), f);
  visit(op.dx, like_dx, f);
  visit(op.prologue, op.g, op.dtype, f);
  visit(op.epilogue.addend, like_dx, f);
  visit(op.epilogue.raw, like_dx, f);
  visit(op.epilogue.z, like_dx, f);
  visit(op.epilogue.lines, op.g.C * static_cast<std::int64_t>(sizeof(NormLine)), f);
  visit(op.epilogue.sums, bytes(2 * op.g.C, DType::f32), f);
}

template <class F>
void for_each_operand(Conv2dBackwardWeight& op, F f) {
  using operands::bytes, operands::visit;
  const DType of_gradient = op.grad_dtype.value_or(op.dtype);
  visit(op.x, bytes(op.g.input_shape().count(), op.dtype), f);
  visit(op.dy, bytes(op.g.output_shape().count(), op.dtype), f);
  visit(op.dweight, bytes(op.g.weight_shape().count(), of_gradient), f);
  visit(op.dbias, bytes(op.g.K, of_gradient), f);
  visit(op.prologue, op.g.C, f);
  visit(op.gradient_prologue, op.g, op.dtype, f);
}

template <class F>
void for_each_operand(BatchNormForward& op, F f) {
  using operands::bytes, operands::visit;
  const std::int64_t all = bytes(op.rows * op.channels, op.dtype);
  const std::int64_t line = bytes(op.channels, statistics_dtype(op.dtype));
  visit(op.x, all, f);
  visit(op.residual, all, f);
  visit(op.y, all, f);
  visit(op.scale, bytes(op.channels, op.dtype), f);
  visit(op.bias, bytes(op.channels, op.dtype), f);
  for (void** place : {&op.running_mean, &op.running_var, &op.mean, &op.rstd}) {
    visit(*place, line, f);
  }
}

template <class F>
void for_each_operand(BatchNormBackward& op, F f) {
  using operands::bytes, operands::visit;
  const std::int64_t all = bytes(op.rows * op.channels, op.dtype);
  const std::int64_t line = bytes(op.channels, statistics_dtype(op.dtype));
  for (const void** place : {&op.x, &op.y, &op.dy}) visit(*place, all, f);
  for (const void** place : {&op.mean, &op.rstd}) visit(*place, line, f);
  for (const void** place : {&op.scale, &op.bias}) visit(*place, bytes(op.channels, op.dtype), f);
  for (void** place : {&op.dx, &op.d_residual}) visit(*place, all, f);
  for (void** place : {&op.d_scale, &op.d_bias}) {
    visit(*place, bytes(op.channels, op.grad_dtype.value_or(op.dtype)), f);
  }
}

}  // namespace convoy
