// SPDX-License-Identifier: MIT
#pragma once
// gemm 3: register tile
// Idea     a thread keeps a patch of 8 x 8 outputs in registers (kernels/gpu/patch.cuh), and
//          fetches the next slab while it multiplies this one.
// Gain     16 shared values serve 64 multiply-adds, where rung 2 reads one for each.
// Limit    patches in one piece are 8 columns apart: lanes that read a quad of b meet in banks.
//          Rung 4 deals the outputs out differently.

#include "kernels/gpu/gemm/patches.cuh"

namespace convoy::CONVOY_TARGET {

template <class T>
void gemm_register_tile(const Gemm& op, const Stream& stream) {
  gemm_patches<T, PatchesInRows>(op, stream);
}

}  // namespace convoy::CONVOY_TARGET
