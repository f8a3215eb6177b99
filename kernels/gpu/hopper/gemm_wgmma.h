// SPDX-License-Identifier: MIT
#pragma once
// What gemm.cu needs of the rung wgmma, which is compiled for compute capability 9.0 alone.

#include "kernels/gemm.h"
#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

// Whether a and b are what the copy engine takes: f16 or bf16, and every row at a multiple of 16
// bytes. With statistics c, too, of a and b's type, and one product.
bool gemm_fits_wgmma(const Gemm& op);
// Whether there is a tile for each multiprocessor.
bool gemm_fills_wgmma(const Gemm& op, const Device& device);

// With statistics: `totals` of so many bytes, of kStatisticsRows each, to be joined.
inline constexpr int kStatisticsRows = 64;
std::size_t gemm_wgmma_workspace(const Gemm& op);
void gemm_wgmma(const Gemm& op, float* totals, const Stream& stream);

}  // namespace convoy::CONVOY_TARGET
