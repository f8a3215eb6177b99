// SPDX-License-Identifier: MIT
#pragma once
// gemm 3: register tile
// Idea     a thread keeps a patch of 8 x 8 outputs in registers (kernels/gpu/patch.cuh), and
//          fetches the next slab of 8 steps along K while it multiplies this one.
// Gain     16 shared values serve 64 multiply-adds, where rung 2 reads one for each.
// Limit    patches of neighbouring lanes are 8 columns apart: where a warp reads four values of b
//          for each, two lanes want the same bank of shared memory, and one waits. Rung 4 deals the
//          outputs out differently.

#include "kernels/gpu/gemm/patches.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
void gemm_register_tile(const Gemm& op, const Stream& stream) {
  gemm_patches<T, PatchesInRows>(op, stream);
}

}  // namespace convoy::CONVOY_TARGET
