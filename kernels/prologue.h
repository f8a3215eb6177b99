// SPDX-License-Identifier: MIT
#pragma once
// What a convolution does to an operand as it loads it, and to a gradient before it stores it, so
// that a norm between two convolutions needs no pass over memory of its own. (What happens to a
// result: kernels/epilogue.h.) A training step keeps only the convolution's raw output and one line
// of numbers per channel:
//
//   z = relu(norm(raw))            forward: the next convolution applies it on load (Prologue)
//   g = 0 where z <= 0, else dz    backward: that convolution's input gradient applies the mask
//                                  and sums g and g * (raw - mean) (GradientEpilogue)
//   d_raw = gain * (g - level - (raw - mean) * slope)      on load (GradientPrologue)
//
// kernels/norm_act.h makes the lines. On cpu the plain ops compose the same.

namespace convoy {

// One channel's norm: v = (x - mean) * gain + bias, with gain = scale * rstd.
struct alignas(16) NormLine {
  float mean, gain, bias, rstd;
};

// One channel's gradient through the norm, as above; level and slope come from the batch's sums.
struct alignas(16) NormGradientLine {
  float mean, gain, level, slope;
};

// x, or what a norm and perhaps a ReLU make of it. Padding stays zero: it comes after the norm. The
// value is rounded to x's dtype, as if it had been stored.
struct Prologue {
  const NormLine* lines = nullptr;  // [channels of x]; null: x as it is
  bool relu = false;
};

// dy, or the gradient of the raw output that belongs to g = dy.
struct GradientPrologue {
  const void* raw = nullptr;                // [like dy]; null: dy as it is
  const NormGradientLine* lines = nullptr;  // [channels of dy]
};

// What happens to an input gradient before it is stored. With v its sum:
//   v += addend;  g = 0 where z <= 0, else v;  d = g
//   sums[0][c] = sum of g over the pixels;  sums[1][c] = sum of g * (raw - mean[c])
// z is what the norm made of raw; it is computed again from raw unless it is given.
struct GradientEpilogue {
  const void* addend = nullptr;     // [like dx], may be dx itself; null: none
  const void* raw = nullptr;        // [like dx]; null: no mask and no sums
  const NormLine* lines = nullptr;  // [channels of dx]
  const void* z = nullptr;          // [like dx], may be null if the norm had no residual
  bool relu = false;                // false: g = v
  float* sums = nullptr;            // [2, channels of dx]
};

}  // namespace convoy
