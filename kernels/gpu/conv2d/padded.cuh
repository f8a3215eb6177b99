// SPDX-License-Identifier: MIT
#pragma once
// conv2d beside the ladder: padded
// Idea     a picture's 3 channels are no run of 16 bytes, and rung 4 would copy them one by one.
//          x and the weights are copied first, with zeros behind each pixel's channels up to a
//          whole run, and rung 4 takes those.
//                     workspace
//          forward          x, weights, what rung 4 needs
//          backward weight  x, the gradient with the zeros' columns, what rung 4 needs
// Gain     one copy of 16 bytes for eight; a pass over x and the zeros' products are little beside
//          that.
// Limit    x is read and written once more. The gradient to the input, which a picture seldom
//          wants, stays with rung 4.

#include "kernels/gpu/conv2d/4_tensor_core.cuh"
#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {

inline Conv2dGeometry with_padded_channels(Conv2dGeometry g) {
  g.C = (g.C + kChunk - 1) / kChunk * kChunk;
  return g;
}

// Chunks are counted in int.
inline bool takes_padding(const Conv2dGeometry& g, DType dtype) {
  const Conv2dGeometry padded = with_padded_channels(g);
  const std::int64_t rows = max(g.N * g.H * g.W, g.K * g.R * g.S);
  return g.groups == 1 && g.C != padded.C && rows <= INT32_MAX / (padded.C / kChunk) &&
         conv2d_fits_tensor_core(padded, dtype);
}

// Rows of `channels` elements, each filled up to whole chunks: a chunk per thread.
template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    conv2d_pad_channels(const T* from, T* to, int chunks, int channels, Divisor chunks_per_row) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, std::int64_t{chunks})) return;
  const int row = chunks_per_row.quotient(static_cast<int>(i));
  const int first = chunks_per_row.remainder(static_cast<int>(i)) * kChunk;
  Lanes<T, kChunk> lanes{};
  for (int j = 0; j < kChunk; ++j) {
    if (first + j < channels) lanes.values[j] = from[std::int64_t{row} * channels + first + j];
  }
  store_lanes(to + i * kChunk, lanes);
}

template <class T>
void pad_channels(const void* from, void* to, std::int64_t rows, std::int64_t channels,
                  const Stream& stream) {
  const std::int64_t per_row = (channels + kChunk - 1) / kChunk, chunks = rows * per_row;
  launch({.grid = blocks_for(chunks, kFlatThreads), .block = kFlatThreads, .stream = stream},
         conv2d_pad_channels<T>, static_cast<const T*>(from), static_cast<T*>(to),
         static_cast<int>(chunks), static_cast<int>(channels), Divisor(per_row));
}

// The gradient without the zeros' columns, where it is wanted.
template <class T>
__global__ void __launch_bounds__(kFlatThreads)
    conv2d_take_channels(Conv2dBackwardWeight op, const float* sums, int padded) {
  begin_kernel();
  const std::int64_t i = std::int64_t{blockIdx.x} * kFlatThreads + threadIdx.x;
  if (!inside(i, weights_per_filter(op.g) * op.g.K)) return;
  const Results<T> dweight{op.dweight, op.grad_dtype == DType::f32};
  dweight.put(i, sums[i / op.g.C * padded + i % op.g.C], op.accumulate);
}

// ---- the op that rung 4 gets; its operands are in the workspace ----

inline Conv2dForward padded_op(Conv2dForward op) {
  op.g = with_padded_channels(op.g);
  op.x = op.weight = nullptr;
  return op;
}
// The bias' gradient has nothing to do with channels.
inline Conv2dBackwardWeight padded_op(Conv2dBackwardWeight op) {
  op.g = with_padded_channels(op.g);
  op.x = nullptr;
  op.accumulate = false;
  op.grad_dtype = DType::f32;
  op.dbias = nullptr;
  return op;
}

// Where the parts of the workspace begin, behind x.
struct PaddedParts {
  std::size_t weights, rest;

  PaddedParts(const Conv2dGeometry& padded, std::size_t weight_size)
      : weights(behind(bytes_of(padded.input_shape(), sizeof(F16)))),
        rest(weights + behind(bytes_of(padded.weight_shape(), weight_size))) {}

 private:
  static std::size_t bytes_of(const Shape& shape, std::size_t size) {
    return static_cast<std::size_t>(shape.count()) * size;
  }
};

inline std::size_t conv2d_padded_workspace(const Conv2dForward& op, const Device& device) {
  const Conv2dForward padded = padded_op(op);
  return PaddedParts(padded.g, sizeof(F16)).rest + conv2d_tensor_core_workspace(padded, device);
}
inline std::size_t conv2d_padded_workspace(const Conv2dBackwardWeight& op, const Device& device) {
  const Conv2dBackwardWeight padded = padded_op(op);
  const std::size_t parts = PaddedParts(padded.g, sizeof(float)).rest;
  return either_gradient_bytes(op, parts + conv2d_tensor_core_workspace(padded, device), device);
}

template <class T>
void conv2d_padded(const Conv2dForward& op, void* workspace, const Stream& stream) {
  const Conv2dGeometry& g = op.g;
  Conv2dForward padded = padded_op(op);
  auto* const base = static_cast<std::byte*>(workspace);
  const PaddedParts parts(padded.g, sizeof(F16));
  std::byte* const weights = base + parts.weights;
  pad_channels<T>(op.x, base, g.N * g.H * g.W, g.C, stream);
  pad_channels<T>(op.weight, weights, g.K * g.R * g.S, g.C, stream);
  padded.x = base;
  padded.weight = weights;
  conv2d_tensor_core<T>(padded, base + parts.rest, stream);
}

// The two gradients are computed one after the other, in the same workspace.
template <class T>
void conv2d_padded(const Conv2dBackwardWeight& op, void* workspace, const Stream& stream) {
  if (op.dbias != nullptr) conv2d_bias_gradient<T>(op, workspace, stream);
  if (op.dweight == nullptr) return;
  const Conv2dGeometry& g = op.g;
  Conv2dBackwardWeight padded = padded_op(op);
  auto* const base = static_cast<std::byte*>(workspace);
  const PaddedParts parts(padded.g, sizeof(float));
  auto* const sums = reinterpret_cast<float*>(base + parts.weights);
  pad_channels<T>(op.x, base, g.N * g.H * g.W, g.C, stream);
  padded.x = base;
  padded.dweight = sums;
  conv2d_tensor_core<T>(padded, base + parts.rest, stream);
  launch({.grid = blocks_for(g.weight_shape().count(), kFlatThreads),
          .block = kFlatThreads,
          .stream = stream},
         conv2d_take_channels<T>, op, sums, static_cast<int>(padded.g.C));
}

// Not with a norm on load, which would make something of the zeros.
inline bool conv2d_fits_padded(const Conv2dForward& op) {
  return takes_padding(op.g, op.dtype) && op.prologue.lines == nullptr;
}
inline bool conv2d_fits_padded(const Conv2dBackwardWeight& op) {
  return takes_padding(op.g, op.dtype) && op.prologue.lines == nullptr;
}
inline bool conv2d_fits_padded(const Conv2dBackwardInput&) { return false; }

}  // namespace convoy::CONVOY_TARGET
