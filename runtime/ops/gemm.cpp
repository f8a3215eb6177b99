// SPDX-License-Identifier: MIT
#include "runtime/ops/gemm.h"

#include <algorithm>

#include "kernels/conv2d.h"
#include "kernels/gemm.h"
#include "runtime/autograd.h"
#include "runtime/ops/view.h"
#include "runtime/run.h"

namespace convoy {
namespace {

// A matrix, or a batch of them, as gemm reads it: rows `ld` apart, stored transposed or not.
struct Matrix {
  const void* data;
  bool transposed;
  std::int64_t ld, batch_stride;
};

// Whether `strides` are those of rows at least `columns` apart with their elements side by side.
bool is_row_major(std::int64_t rows, std::int64_t columns, std::int64_t row_stride,
                  std::int64_t column_stride) {
  return (column_stride == 1 || columns <= 1) && (row_stride >= columns || rows <= 1);
}

Matrix matrix(const void* data, const Shape& shape, const Strides& strides) {
  const int last = shape.rank() - 1;
  const std::int64_t rows = shape[last - 1], columns = shape[last];
  const std::int64_t down = strides[last - 1], along = strides[last];
  const std::int64_t batch_stride = shape.rank() == 3 ? strides[0] : 0;
  if (is_row_major(rows, columns, down, along)) {
    return {data, false, rows > 1 ? down : std::max<std::int64_t>(columns, 1), batch_stride};
  }
  return {data, true, columns > 1 ? along : std::max<std::int64_t>(rows, 1), batch_stride};
}

// The tensor itself where gemm can read it, else a dense copy.
Tensor readable(const Tensor& t) {
  const int last = t.rank() - 1;
  const std::int64_t rows = t.shape()[last - 1], columns = t.shape()[last];
  const std::int64_t down = t.strides()[last - 1], along = t.strides()[last];
  const bool fits =
      is_row_major(rows, columns, down, along) || is_row_major(columns, rows, along, down);
  return fits ? t : t.contiguous();
}

// c = op(a) op(b), or c += it; c is dense. flip: the operand is used transposed.
void multiply(const Shape& c_shape, std::int64_t K, const Matrix& a, bool flip_a, const Matrix& b,
              bool flip_b, const GradDestination& c, DType dtype, const Stream& stream) {
  const int last = c_shape.rank() - 1;
  const std::int64_t M = c_shape[last - 1], N = c_shape[last];
  run(Gemm{.M = M,
           .N = N,
           .K = K,
           .batch = last == 2 ? c_shape[0] : 1,
           .a = a.data,
           .b = b.data,
           .c = c.data(),
           .transpose_a = a.transposed != flip_a,
           .transpose_b = b.transposed != flip_b,
           .lda = a.ld,
           .ldb = b.ld,
           .ldc = std::max<std::int64_t>(N, 1),
           .stride_a = a.batch_stride,
           .stride_b = b.batch_stride,
           .stride_c = M * N,
           .accumulate = c.accumulate,
           .dtype = dtype,
           .out_dtype = c.tensor.dtype()},
      stream);
}

Matrix matrix(const Saved& s) { return matrix(s.data(), s.shape(), s.strides()); }
Matrix matrix(const Tensor& t) { return matrix(t.data(), t.shape(), t.strides()); }

void check_matmul(const Tensor& a, const Tensor& b) {
  require(
      a.rank() >= 2 && a.rank() <= 3 && b.rank() >= 2 && b.rank() <= a.rank(),
      "matmul: expects [M, K] x [K, N], [B, M, K] x [B, K, N] or [B, M, K] x [K, N], found {} x "
      "{}",
      a.shape(), b.shape());
  require(a.size(-1) == b.size(-2), "matmul: a's columns must match b's rows, found {} x {}",
          a.shape(), b.shape());
  require(b.rank() == 2 || a.size(0) == b.size(0), "matmul: batches must match, found {} x {}",
          a.shape(), b.shape());
  require(a.dtype() == b.dtype(), "matmul: b expects a's dtype {}, found {}", a.dtype(), b.dtype());
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check_matmul(a, b);
  if (a.rank() > b.rank()) {  // one b for the whole batch: one tall product
    const Tensor y = matmul(reshape(a, {a.size(0) * a.size(1), a.size(2)}), b);
    return reshape(y, {a.size(0), a.size(1), b.size(1)});
  }
  const Tensor ar = readable(a), br = readable(b);
  Shape shape = a.shape();
  shape[a.rank() - 1] = b.size(-1);
  const Tensor y = empty(shape, a.like());
  multiply(shape, a.size(-1), matrix(ar), false, matrix(br), false, {y, false}, a.dtype(),
           a.stream());

  return record("matmul", y, {a, b}, [a = save(ar), b = save(br)](const Tensor& dy, Grads& grads) {
    if (grads.needs(0)) {  // da = dy b^T
      multiply(a.shape(), dy.size(-1), matrix(dy), false, matrix(b), true,
               grads.into(0, grads.kept_in({0})), dy.dtype(), dy.stream());
    }
    if (grads.needs(1)) {  // db = a^T dy
      multiply(b.shape(), dy.size(-2), matrix(a), true, matrix(dy), false,
               grads.into(1, grads.kept_in({1})), dy.dtype(), dy.stream());
    }
  });
}

namespace {

void check_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  require(weight.rank() == 2 && x.rank() >= 1 && x.size(-1) == weight.size(1),
          "linear: expects x [..., in] and weight [out, in], found {} and {}", x.shape(),
          weight.shape());
  require(!bias.defined() || bias.shape() == Shape{weight.size(0)},
          "linear: bias expects shape [{}] for weight {}, found {}", weight.size(0), weight.shape(),
          bias.defined() ? bias.shape() : Shape{});
  require(x.dtype() == weight.dtype() && (!bias.defined() || bias.dtype() == x.dtype()),
          "linear: weight and bias expect x's dtype {}, found {} and {}", x.dtype(), weight.dtype(),
          bias.defined() ? bias.dtype() : weight.dtype());
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check_linear(x, weight, bias);
  const Tensor xc = x.contiguous(), wc = weight.contiguous();
  const Tensor bc = bias.defined() ? bias.contiguous() : bias;
  const std::int64_t in = weight.size(1), out = weight.size(0);
  std::int64_t rows = 1;
  for (int i = 0; i < x.rank() - 1; ++i) rows *= x.shape()[i];
  Shape shape = x.shape();
  shape[x.rank() - 1] = out;
  const Tensor y = empty(shape, x.like());
  Gemm op = dense_gemm(rows, out, in, xc.data(), false, wc.data(), true, y.data(), x.dtype());
  op.epilogue.bias = bc.defined() ? bc.data() : nullptr;
  run(op, x.stream());

  return record(
      "linear", y, {x, weight, bias},
      [x = save(xc), weight = save(wc), rows, in, out](const Tensor& dy, Grads& grads) {
        if (grads.needs(0)) {  // dx = dy weight
          const GradDestination dx = grads.into(0);
          Gemm product = dense_gemm(rows, in, out, dy.data(), false, weight.data(), false,
                                    dx.data(), dy.dtype());
          product.accumulate = dx.accumulate;
          run(product, dy.stream());
        }
        if (grads.needs(1)) {  // dweight = dy^T x
          const GradDestination dweight = grads.into(1, grads.kept_in({1}));
          Gemm product = dense_gemm(out, in, rows, dy.data(), true, x.data(), false, dweight.data(),
                                    dy.dtype());
          product.accumulate = dweight.accumulate;
          product.out_dtype = dweight.tensor.dtype();
          run(product, dy.stream());
        }
        if (grads.needs(2)) {  // the bias gradient of a 1x1 convolution over `rows` pixels
          const GradDestination dbias = grads.into(2, grads.kept_in({2}));
          run(Conv2dBackwardWeight{{.N = rows, .C = in, .K = out},
                                   x.data(),
                                   dy.data(),
                                   nullptr,
                                   false,
                                   dbias.data(),
                                   dbias.accumulate,
                                   dy.dtype(),
                                   dbias.tensor.dtype()},
              dy.stream());
        }
      });
}

}  // namespace convoy
