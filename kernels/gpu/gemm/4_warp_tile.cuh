// SPDX-License-Identifier: MIT
#pragma once
// gemm 4: warp tile
// Idea     rung 3 with one level more: a warp owns 64 x 32 outputs of the block's tile, and a lane
//          four pieces of 4 x 4 of them, half of the warp's tile apart.
// Gain     what a warp reads at once are neighbours in shared memory: no two lanes meet in a bank.
// Limit    f32 multiply-adds, of which the tensor cores do several times as many. Rung 5 uses
//          them.

#include "kernels/gpu/gemm/patches.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
void gemm_warp_tile(const Gemm& op, const Stream& stream) {
  gemm_patches<T, PatchesInWarps>(op, stream);
}

}  // namespace convoy::CONVOY_TARGET
