// SPDX-License-Identifier: MIT
#pragma once
// A warp's matrix product on the tensor cores: d += a b with a 16x16, b 16x8, d 16x8 (PTX ISA,
// mma.m16n8k16). Elements of a and b are F16 or BF16, two to a register; d is f32.
//
// With g = lane / 4 and t = lane % 4, a lane holds
//   a[i]: row g + 8 (i % 2), columns 2t + 8 (i / 2) and the next         (what ldmatrix gives)
//   b[i]: rows 2t + 8 i and the next, column g        (ldmatrix of columns, or transposed of rows)
//   d[i]: row g + 8 (i / 2), column 2t + i % 2

#include <cstdint>

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

// Half 0 or 1 of a register, as a number.
template <class T>
__device__ __forceinline__ float half_of(unsigned both, int which) {
  return to_float(T{static_cast<std::uint16_t>(both >> (16 * which))});
}

struct MmaOfLane {
  float* d;
  const unsigned *a, *b;
};

template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4],
                                             const unsigned (&b)[2], Site site = Site::here()) {
  static_assert(std::is_same_v<T, F16> || std::is_same_v<T, BF16>);
  if constexpr (kSim) {
    MmaOfLane mine{d, a, b};
    sim::collective(sim::lanes(~0u), "mma", site, mine, [](auto lanes) {
      sim::note_multiply_adds(16 * 8 * 16);
      float left[16][16], right[16][8], sum[16][8];
      for (int lane = 0; lane < 32; ++lane) {
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 8; ++i) {
          left[g + 8 * (i / 2 % 2)][2 * t + 8 * (i / 4) + i % 2] =
              half_of<T>(lanes[lane]->a[i / 2], i % 2);
        }
        for (int i = 0; i < 4; ++i) {
          right[2 * t + 8 * (i / 2) + i % 2][g] = half_of<T>(lanes[lane]->b[i / 2], i % 2);
          sum[g + 8 * (i / 2)][2 * t + i % 2] = lanes[lane]->d[i];
        }
      }
      for (int m = 0; m < 16; ++m) {
        for (int k = 0; k < 16; ++k) {
          for (int n = 0; n < 8; ++n) sum[m][n] += left[m][k] * right[k][n];
        }
      }
      for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < 4; ++i) {
          lanes[lane]->d[i] = sum[lane / 4 + 8 * (i / 2)][2 * (lane % 4) + i % 2];
        }
      }
    });
  } else if constexpr (std::is_same_v<T, F16>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
}

}  // namespace convoy::CONVOY_TARGET
