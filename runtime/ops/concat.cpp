// SPDX-License-Identifier: MIT
#include "runtime/ops/concat.h"

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy {
namespace {

// Where each part starts in the result's dimension, and at last where the result ends.
using Offsets = std::vector<std::int64_t>;

Offsets check_parts(const std::vector<Tensor>& parts, int dim) {
  Offsets offsets{0};
  const Tensor& first = parts.front();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Shape like = first.shape();
    if (parts[i].rank() == first.rank()) like[dim] = parts[i].shape()[dim];
    require(parts[i].shape() == like && parts[i].dtype() == first.dtype(),
            "concat: part {} expects {} of shape {} but for dimension {}, found {} of shape {}", i,
            first.dtype(), first.shape(), dim, parts[i].dtype(), parts[i].shape());
    offsets.push_back(offsets.back() + like[dim]);
  }
  return offsets;
}

// The address of index `at` of dimension `dim` in a dense tensor.
char* address(const Tensor& whole, int dim, std::int64_t at) {
  return static_cast<char*>(whole.data()) +
         at * whole.strides()[dim] * static_cast<std::int64_t>(size_of(whole.dtype()));
}

}  // namespace

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  require(!parts.empty(), "concat: expects at least one part, found none");
  const int d = normalize_dim("concat", dim, parts.front().rank());
  // Shared, because a backward function holds nothing whose copy may throw.
  const auto offsets = std::make_shared<const Offsets>(check_parts(parts, d));
  Shape shape = parts.front().shape();
  shape[d] = offsets->back();
  const Tensor y = empty(shape, parts.front().like());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    run(Copy{.shape = parts[i].shape(),
             .x_strides = parts[i].strides(),
             .y_strides = y.strides(),
             .x = parts[i].data(),
             .y = address(y, d, (*offsets)[i]),
             .dtype = y.dtype()},
        y.stream());
  }

  const std::vector<Input> inputs(parts.begin(), parts.end());
  return record("concat", y, inputs, [d, offsets](const Tensor& dy, Grads& grads) {
    for (int i = 0; i + 1 < static_cast<int>(offsets->size()); ++i) {
      if (!grads.needs(i)) continue;
      const GradDestination dx = grads.into(i);
      run(Copy{.shape = dx.tensor.shape(),
               .x_strides = dy.strides(),
               .y_strides = dx.tensor.strides(),
               .x = address(dy, d, (*offsets)[static_cast<std::size_t>(i)]),
               .y = dx.data(),
               .dtype = dy.dtype(),
               .accumulate = dx.accumulate},
          dy.stream());
    }
  });
}

}  // namespace convoy
