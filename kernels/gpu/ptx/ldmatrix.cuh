// SPDX-License-Identifier: MIT
#pragma once
// Matrices of 8x8 16-bit elements between shared memory and the fragments of mma (PTX ISA,
// ldmatrix and stmatrix). A matrix is 8 rows of 16 bytes, each anywhere: lane 8m + r brings the
// address of row r of matrix m. Element (r, 2c) and its right neighbour are register m of lane
// 4r + c; transposed, element (2c, r) and its lower neighbour.
//
//   unsigned a[4];
//   ldmatrix(a, &s.x[row0 + lane % 16][8 * (lane / 16)]);    // a 16x16 tile

#include <cstdint>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

template <int kCount>
struct MatrixRowOfLane {
  std::uint16_t row[8];
  unsigned* fragment;
};

// Where register m's low (0) and high (1) half of a lane lies: which lane's row, which element.
struct MatrixElement {
  int row_of_lane, column;
};
template <bool kTransposed>
constexpr MatrixElement matrix_element(int lane, int matrix, int half) {
  const int major = lane / 4, minor = 2 * (lane % 4) + half;
  return kTransposed ? MatrixElement{8 * matrix + minor, major}
                     : MatrixElement{8 * matrix + major, minor};
}

// 1, 2 or 4 matrices. `row` counts in the first 8 * kCount lanes.
template <bool kTransposed = false, int kCount>
__device__ __forceinline__ void ldmatrix(unsigned (&fragment)[kCount], const void* row,
                                         Site site = Site::here()) {
  static_assert(kCount == 1 || kCount == 2 || kCount == 4);
  if constexpr (kSim) {
    MatrixRowOfLane<kCount> mine{{}, fragment};
    if (threadIdx.x % 32 < 8 * kCount) sim::read_shared("ldmatrix", row, 16, mine.row, site);
    sim::collective(sim::lanes(~0u), "ldmatrix", site, mine, [](auto lanes) {
      for (int lane = 0; lane < 32; ++lane) {
        for (int m = 0; m < kCount; ++m) {
          const auto low = matrix_element<kTransposed>(lane, m, 0);
          const auto high = matrix_element<kTransposed>(lane, m, 1);
          lanes[lane]->fragment[m] = lanes[low.row_of_lane]->row[low.column] |
                                     unsigned{lanes[high.row_of_lane]->row[high.column]} << 16;
        }
      }
    });
  } else {
    const std::uint32_t address = shared_address(row);
    if constexpr (kCount == 1 && !kTransposed) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                   : "=r"(fragment[0])
                   : "r"(address)
                   : "memory");
    } else if constexpr (kCount == 1) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];"
                   : "=r"(fragment[0])
                   : "r"(address)
                   : "memory");
    } else if constexpr (kCount == 2 && !kTransposed) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                   : "=r"(fragment[0]), "=r"(fragment[1])
                   : "r"(address)
                   : "memory");
    } else if constexpr (kCount == 2) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                   : "=r"(fragment[0]), "=r"(fragment[1])
                   : "r"(address)
                   : "memory");
    } else if constexpr (!kTransposed) {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                   : "r"(address)
                   : "memory");
    } else {
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
                   : "r"(address)
                   : "memory");
    }
  }
}

// The way back, from compute capability 9.0 on: 4 matrices.
template <bool kTransposed = false>
__device__ __forceinline__ void stmatrix(void* row, const unsigned (&fragment)[4],
                                         Site site = Site::here()) {
  if constexpr (kSim) {
    unsigned brought[4] = {fragment[0], fragment[1], fragment[2], fragment[3]};
    MatrixRowOfLane<4> mine{{}, brought};
    sim::collective(sim::lanes(~0u), "stmatrix", site, mine, [](auto lanes) {
      for (int lane = 0; lane < 32; ++lane) {
        for (int m = 0; m < 4; ++m) {
          const auto low = matrix_element<kTransposed>(lane, m, 0);
          const auto high = matrix_element<kTransposed>(lane, m, 1);
          const unsigned both = lanes[lane]->fragment[m];
          lanes[low.row_of_lane]->row[low.column] = static_cast<std::uint16_t>(both);
          lanes[high.row_of_lane]->row[high.column] = static_cast<std::uint16_t>(both >> 16);
        }
      }
    });
    sim::write_shared("stmatrix", row, 16, mine.row, site);
  } else if constexpr (kArch >= 90) {
    const std::uint32_t address = shared_address(row);
    if constexpr (!kTransposed) {
      asm volatile(
          "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
          "r"(fragment[0]), "r"(fragment[1]), "r"(fragment[2]), "r"(fragment[3])
          : "memory");
    } else {
      asm volatile(
          "stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(address),
          "r"(fragment[0]), "r"(fragment[1]), "r"(fragment[2]), "r"(fragment[3])
          : "memory");
    }
  }
}

}  // namespace convoy::CONVOY_TARGET
