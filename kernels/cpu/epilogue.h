// SPDX-License-Identifier: MIT
#pragma once
// What is left of an epilogue (kernels/epilogue.h) once sums and bias are stored: a pass over rows.

#include "kernels/cpu/parallel.h"
#include "kernels/epilogue.h"

namespace convoy::on_cpu {

// residual: of these elements, or null.
template <class T>
void finish_row(Activation activation, const T* residual, T* y, std::int64_t count) {
  for (std::int64_t i = 0; residual != nullptr && i < count; ++i) y[i] += residual[i];
  if (activation == Activation::none) return;
  for (std::int64_t i = 0; i < count; ++i) y[i] = y[i] < 0 ? T(0) : y[i];
}

// Of rows of `columns` elements; offset(row) is where one begins.
template <class Offset>
void finish_rows(const Epilogue& e, void* y, DType dtype, std::int64_t rows, std::int64_t columns,
                 Offset offset) {
  if (e.residual == nullptr && e.activation == Activation::none) return;
  with_float(dtype, [&]<class T>(Type<T>) {
    const T* residual = static_cast<const T*>(e.residual);
    const std::int64_t grain =
        std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(columns, 1));
    parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t at = offset(row);
        finish_row(e.activation, residual == nullptr ? nullptr : residual + at,
                   static_cast<T*>(y) + at, columns);
      }
    });
  });
}

}  // namespace convoy::on_cpu
