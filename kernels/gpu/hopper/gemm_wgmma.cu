// SPDX-License-Identifier: MIT
// The rung wgmma of gemm: which tile, the copy engine's maps, the launch.
#include "kernels/gpu/hopper/gemm_wgmma.cuh"

#include "kernels/gpu/hopper/gemm_wgmma.h"
#include "kernels/gpu/hopper/wgmma_launch.h"
#include "kernels/gpu/tile.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class Config>
void run_config(const Gemm& op, float* totals, const Stream& stream) {
  const WgmmaShape shape{static_cast<int>(op.M), static_cast<int>(op.N),
                         static_cast<int>(op.batch)};
  const GemmLoads loads{static_cast<int>(op.K), op.stride_a > 0, op.stride_b > 0};
  const bool staged = takes_staged(op);
  const bool a_along_k = Config::kMajorA == Major::k, b_along_k = Config::kMajorB == Major::k;
  const TensorMap a = map_of(op, op.a, a_along_k ? op.M : op.K, a_along_k ? op.K : op.M, op.lda,
                             op.stride_a, 3, a_along_k ? Config::kM : Config::kK);
  const TensorMap b = map_of(op, op.b, b_along_k ? op.N : op.K, b_along_k ? op.K : op.N, op.ldb,
                             op.stride_b, 3, b_along_k ? Config::kN : Config::kK);
  launch(persistent<Config>(tiles_for<Config>(op.M, op.N, op.batch), stream),
         gemm_wgmma_tiles<Config>, a, b, staged ? result_map(op) : a, op, shape, loads,
         WgmmaResult{staged, wants_statistics(op) ? totals : nullptr});
}

// The wide tile reads less per product, if there are enough of them.
template <class T, Major kA, Major kB>
void run_majors(const Gemm& op, float* totals, const Stream& stream) {
  using Wide = WgmmaConfig<T, 256, kA, kB>;
  using Square = WgmmaConfig<T, 128, kA, kB>;
  const auto wide = static_cast<int>(tiles_for<Wide>(op.M, op.N, op.batch));
  if (op.N > Square::kN && wide >= multiprocessor_count(stream.device)) {
    return run_config<Wide>(op, totals, stream);
  }
  run_config<Square>(op, totals, stream);
}

template <class T>
void run_type(const Gemm& op, float* totals, const Stream& stream) {
  constexpr Major k = Major::k, mn = Major::mn;
  if (op.transpose_a) {
    return op.transpose_b ? run_majors<T, mn, k>(op, totals, stream)
                          : run_majors<T, mn, mn>(op, totals, stream);
  }
  op.transpose_b ? run_majors<T, k, k>(op, totals, stream)
                 : run_majors<T, k, mn>(op, totals, stream);
}

}  // namespace

bool gemm_fits_wgmma(const Gemm& op) {
  const std::int64_t a_columns = op.transpose_a ? op.M : op.K;
  const std::int64_t b_columns = op.transpose_b ? op.K : op.N;
  return (op.dtype == DType::f16 || op.dtype == DType::bf16) && op.K > 0 &&
         max(op.M, max(op.N, op.K)) <= INT32_MAX - 256 &&
         blocks_for(op.M, 128) * blocks_for(op.N, 128) * op.batch <= INT32_MAX / 2 &&
         takes_copies(op.a, a_columns, op.lda, op.batch, op.stride_a) &&
         takes_copies(op.b, b_columns, op.ldb, op.batch, op.stride_b) &&
         (!wants_statistics(op) || (op.batch == 1 && takes_staged(op)));
}

bool gemm_fills_wgmma(const Gemm& op, const Device& device) {
  using Square = WgmmaConfig<F16, 128, Major::k, Major::k>;
  const auto tiles = static_cast<int>(tiles_for<Square>(op.M, op.N, op.batch));
  return tiles >= multiprocessor_count(device);
}

std::size_t gemm_wgmma_workspace(const Gemm& op) { return statistics_bytes(op); }

void gemm_wgmma(const Gemm& op, float* totals, const Stream& stream) {
  if (op.M * op.N == 0) return;
  if (op.dtype == DType::f16) return run_type<F16>(op, totals, stream);
  run_type<BF16>(op, totals, stream);
}

}  // namespace convoy::CONVOY_TARGET
