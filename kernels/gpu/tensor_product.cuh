// SPDX-License-Identifier: MIT
#pragma once
// A matrix product on the tensor cores, from what says where its factors stand to the launch. A
// pass (gemm, or one of the convolution's) is a kernel's argument and has
//
//   using T = F16;                                   // of the factors
//   static constexpr Major kMajorA, kMajorB;
//   static constexpr bool kNorms;                    // its sources have norms on load
//   static constexpr TileSize kLargest;              // that it is worked in
//   products(), rows(), columns(), depth()           // of the largest product
//   product(i)                                       // on the device: TensorProduct, or like it
//
//   run_tensor_product(pass, plan, output, workspace, stream);

#include "kernels/gpu/tensor_output.cuh"
#include "kernels/gpu/tensor_plan.cuh"

namespace convoy::CONVOY_TARGET {

// One of a pass's products: its sources (kernels/gpu/tensor_stager.cuh), how much of it there is,
// and where a row of the result goes.
template <class A, class B>
struct TensorProduct {
  A a;
  B b;
  int rows, depth;
  int product_of_y;
  int phase = 0;  // of those whose rows go to one product of y

  __device__ int row_of_y(int m) const { return m; }
};

// A norm on load takes more registers than four blocks to a multiprocessor leave.
template <class Tile, class Pass>
constexpr int kBlocksOf = Pass::kNorms ? 2 : Tile::kBlocks;

// What block `block` of those that a pass takes does.
template <class Tile, class Pass>
__device__ __forceinline__ void multiply_tile(const Pass& pass, int splits, const Output& output,
                                              unsigned block) {
  using T = typename Pass::T;
  auto& s = shared<typename Tile::Storage>();
  const TilePlace<Tile> tile(pass.rows(), pass.columns(), block);
  const int index = static_cast<int>(tile.product), split = index / pass.products();
  const auto product = pass.product(index % pass.products());
  const int slabs = (product.depth + Tile::kK - 1) / Tile::kK;
  const int slabs_per_split = (slabs + splits - 1) / splits;
  const int begin = split * slabs_per_split, end = min(begin + slabs_per_split, slabs);

  TensorSums<Tile> sums;
  constexpr Major kA = Pass::kMajorA, kB = Pass::kMajorB;
  if constexpr (Tile::kBlocks == 1) {
    multiply_ahead<T, Tile, kA, kB>(s, sums, product.a, tile.m, product.b, tile.n, begin, end);
  } else {
    multiply<T, Tile, kA, kB>(s, sums, product.a, tile.m, product.b, tile.n, begin, end);
  }
  const std::int64_t tiles_down = blocks_for(pass.rows(), Tile::kM);
  const TilePosition at{.product_of_y = product.product_of_y + split * output.products,
                        .rows = product.rows,
                        .m = tile.m,
                        .n = tile.n,
                        .row_of_tiles = product.phase * tiles_down + tile.m / Tile::kM};
  store_tile<T, Tile>(s, sums, output, at, [&](int m) { return product.row_of_y(m); });
}

template <class Tile, class Pass>
__global__ void __launch_bounds__(Tile::kThreads, kBlocksOf<Tile, Pass>)
    tensor_product_tile(Pass pass, int splits, Output output) {
  begin_kernel();
  multiply_tile<Tile>(pass, splits, output, blockIdx.x);
}

inline std::size_t tensor_product_workspace(const TensorPlan& plan, const Output& output) {
  return plan.splits == 1 ? 0 : splits_bytes(output, plan.splits);
}

// Whether a norm of a pass's factor a reads a second array.
template <class Pass>
bool reads_raw(const Pass& pass) {
  if constexpr (requires { pass.raw(); }) return pass.raw() != nullptr;
  return false;
}

template <class Tile, class Pass>
std::size_t shared_bytes_for(const Pass& pass) {
  return reads_raw(pass) ? sizeof(StorageWithRaw<Tile>) : sizeof(typename Tile::Storage);
}
template <class Tile, class Pass>
unsigned blocks_of(const Pass& pass, const TensorPlan& plan) {
  return tiles_for<Tile>(pass.rows(), pass.columns(), std::int64_t{pass.products()} * plan.splits);
}

// Where the tiles store: to the workspace, if the depth is split.
inline Output output_of_tiles(const TensorPlan& plan, const Output& output, void* workspace) {
  return plan.splits > 1 ? partial_output(output, workspace) : output;
}

template <class Pass>
void launch_tensor_tiles(const Pass& pass, const TensorPlan& plan, const Output& output,
                         void* workspace, const Stream& stream) {
  with_tensor_tile<Pass::kLargest>(plan, [&]<class Tile>(Type<Tile>) {
    launch({.grid = blocks_of<Tile>(pass, plan),
            .block = Tile::kThreads,
            .shared_bytes = shared_bytes_for<Tile>(pass),
            .stream = stream},
           tensor_product_tile<Tile, Pass>, pass, plan.splits,
           output_of_tiles(plan, output, workspace));
  });
}

template <class Pass>
void run_tensor_product(const Pass& pass, const TensorPlan& plan, const Output& output,
                        void* workspace, const Stream& stream) {
  launch_tensor_tiles(pass, plan, output, workspace, stream);
  if (plan.splits > 1) add_splits_to<typename Pass::T>(output, workspace, plan.splits, stream);
}

// The widest copy for runs of `along` elements that begin at multiples of each distance.
template <class... Distances>
int copy_width(const void* data, std::int64_t along, Distances... distances) {
  const auto place = reinterpret_cast<std::uintptr_t>(data) / sizeof(F16);
  const auto all = place | static_cast<std::uintptr_t>((along | ... | distances));
  return all % kChunk == 0 ? kChunk : all % 2 == 0 ? 2 : 1;
}

}  // namespace convoy::CONVOY_TARGET
