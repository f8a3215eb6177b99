// SPDX-License-Identifier: MIT
// ldmatrix and stmatrix, bit by bit, against the ISA's picture: the 32 pairs of neighbours of an
// 8x8 matrix, counted along the rows (transposed: along the columns), belong to lanes 0 to 31.
#include "kernels/gpu/ptx/ldmatrix.cuh"

#include <algorithm>
#include <vector>

#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

struct Rows {
  alignas(16) std::uint16_t row[64][8];  // two more per row of a matrix than are used
};

std::uint16_t element(int matrix, int row, int column) {
  return static_cast<std::uint16_t>(0x4000 + 64 * matrix + 8 * row + column);
}

unsigned expected_register(int lane, int matrix, bool transposed) {
  const int first = 2 * lane, second = 2 * lane + 1;
  const auto at = [&](int i) {
    return transposed ? element(matrix, i % 8, i / 8) : element(matrix, i / 8, i % 8);
  };
  return at(first) | unsigned{at(second)} << 16;
}

// Row r of matrix m lies at an odd place: the rows of a matrix need not be neighbours.
__host__ int place_of(int matrix, int row) { return (8 * matrix + row) * 37 % 64; }

template <int kCount, bool kTransposed>
__global__ void load_matrices(unsigned* fragments) {
  auto& s = shared<Rows>();
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int c = 0; c < 8; ++c)
    s.row[place_of(lane / 8, lane % 8)][c] = element(lane / 8, lane % 8, c);
  __syncwarp();
  unsigned fragment[kCount];
  // Beyond the lanes that count, any address is ignored.
  const int counted = lane % (8 * kCount);
  const void* row = lane < 8 * kCount ? &s.row[place_of(counted / 8, counted % 8)] : nullptr;
  ldmatrix<kTransposed>(fragment, row);
  for (int m = 0; m < kCount; ++m) fragments[kCount * threadIdx.x + m] = fragment[m];
}

template <int kCount, bool kTransposed>
void check_load() {
  over_schedules([] {
    DeviceVector<unsigned> found(64 * kCount);
    for (int warp = 0; warp < 2; ++warp) {
      launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Rows), .stream = kSimStream},
             load_matrices<kCount, kTransposed>, found.data() + 32 * kCount * warp);
    }
    for (int lane = 0; lane < 64; ++lane) {
      for (int m = 0; m < kCount; ++m) {
        ASSERT_EQ(found[kCount * lane + m], expected_register(lane % 32, m, kTransposed))
            << "lane " << lane << ", matrix " << m;
      }
    }
  });
}

TEST(Ldmatrix, GivesEachLaneItsPairs) {
  check_load<1, false>();
  check_load<2, false>();
  check_load<4, false>();
}

TEST(Ldmatrix, TransposesOnTheWay) {
  check_load<1, true>();
  check_load<2, true>();
  check_load<4, true>();
}

template <bool kTransposed>
__global__ void store_matrices(std::uint16_t* elements) {
  auto& s = shared<Rows>();
  const int lane = static_cast<int>(threadIdx.x);
  unsigned fragment[4];
  for (int m = 0; m < 4; ++m) fragment[m] = expected_register(lane, m, kTransposed);
  stmatrix<kTransposed>(&s.row[place_of(lane / 8, lane % 8)], fragment);
  __syncwarp();
  for (int c = 0; c < 8; ++c) elements[8 * lane + c] = s.row[place_of(lane / 8, lane % 8)][c];
}

TEST(Stmatrix, IsTheWayBack) {
  over_schedules([] {
    for (auto* kernel : {store_matrices<false>, store_matrices<true>}) {
      DeviceVector<std::uint16_t> found(32 * 8);
      launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Rows), .stream = kSimStream}, kernel,
             found.data());
      for (int i = 0; i < 256; ++i) ASSERT_EQ(found[i], element(i / 64, i / 8 % 8, i % 8));
    }
  });
}

struct Unaligned {
  alignas(16) std::uint16_t row[40][9];
};

LINE_HERE(kUnaligned)
__global__ void load_unaligned() {
  auto& s = shared<Unaligned>();
  for (std::uint16_t& x : s.row[threadIdx.x]) x = 0;
  unsigned fragment[1];
  ldmatrix(fragment, &s.row[threadIdx.x]);
}

TEST(Ldmatrix, AnUnalignedRowIsNamed) {
  EXPECT_FAULT(
      [] {
        launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Unaligned), .stream = kSimStream},
               load_unaligned);
      },
      "ldmatrix: expects a shared address that is a multiple of 16", kUnaligned + 5);
}

LINE_HERE(kPastTheEnd)
__global__ void load_past_the_end() {
  auto& s = shared<Rows>();
  for (std::uint16_t& x : s.row[threadIdx.x + 32]) x = 0;
  __syncwarp();
  unsigned fragment[4];
  ldmatrix(fragment, &s.row[threadIdx.x + 40]);
}

TEST(Ldmatrix, ARowOutsideOfSharedMemoryIsNamed) {
  EXPECT_FAULT(
      [] {
        launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Rows), .stream = kSimStream},
               load_past_the_end);
      },
      "ldmatrix: expects 16 bytes of the block's shared memory", kPastTheEnd + 6);
}

// A row that another lane wrote needs a __syncwarp: without it somebody reads what is not there.
template <bool kSync>
__global__ void load_neighbours(unsigned* fragments) {
  auto& s = shared<Rows>();
  const int lane = static_cast<int>(threadIdx.x), other = 31 - lane;
  for (int c = 0; c < 8; ++c) s.row[other][c] = element(other / 8, other % 8, c);
  if (kSync) __syncwarp();
  unsigned fragment[4];
  ldmatrix(fragment, &s.row[lane]);
  for (int m = 0; m < 4; ++m) fragments[4 * lane + m] = fragment[m];
}

TEST(Ldmatrix, AMissingSyncwarpGivesPoison) {
  over_schedules([] {
    for (const bool sync : {true, false}) {
      DeviceVector<unsigned> found(128);
      const auto has_poison = [&] {
        launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Rows), .stream = kSimStream},
               sync ? load_neighbours<true> : load_neighbours<false>, found.data());
        return std::count(found.begin(), found.end(), ~0u) > 0;
      };
      EXPECT_EQ(shows(has_poison), !sync);
    }
  });
}

}  // namespace
}  // namespace convoy::on_sim
