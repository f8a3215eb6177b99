// SPDX-License-Identifier: MIT
// What a GPU rejects at the launch.
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using testing::contains;
using testing::error_of;
using testing::kSimStream;

__global__ void unbounded() {}
__global__ void __launch_bounds__(64) bounded() {}
template <int kWarps>
__global__ void __launch_bounds__(kWarps * 32, 2) bounded_by_template() {}

struct Large {
  float values[100];
};
__global__ void uses_shared() { shared<Large>().values[threadIdx.x] = 1; }

std::string launch_error(dim3 grid, dim3 block, std::size_t shared_bytes = 0, int cluster = 1,
                         bool resident = false, void (*kernel)() = unbounded) {
  return error_of([&] {
    launch({.grid = grid,
            .block = block,
            .shared_bytes = shared_bytes,
            .stream = kSimStream,
            .cluster = cluster,
            .resident = resident},
           kernel);
  });
}

TEST(Launch, BlockSizes) {
  EXPECT_EQ(launch_error(1, 1024), "");
  EXPECT_TRUE(contains(launch_error(1, 1025), "1 to 1024 threads"));
  EXPECT_TRUE(contains(launch_error(1, dim3(1, 1, 65)), "at most 64 in z"));
  EXPECT_TRUE(contains(launch_error(1, 0), "found (0,1,1)"));
  EXPECT_TRUE(contains(launch_error(dim3(1, 65536), 1), "found (1,65536,1)"));
}

TEST(Launch, AnEmptyGridIsNoLaunch) { EXPECT_EQ(launch_error(0, 32), ""); }

TEST(Launch, SharedMemory) {
  EXPECT_EQ(launch_error(1, 1, 227 << 10), "");
  EXPECT_TRUE(contains(launch_error(1, 1, (227 << 10) + 1), "at most 232448 bytes, found 232449"));
  EXPECT_EQ(launch_error(1, 100, sizeof(Large), 1, false, uses_shared), "");
  EXPECT_TRUE(contains(launch_error(1, 1, 399, 1, false, uses_shared),
                       "Storage has 400 bytes, the launch gave 399"));
}

TEST(Launch, LaunchBounds) {
  EXPECT_EQ(launch_error(1, 64, 0, 1, false, bounded), "");
  EXPECT_TRUE(contains(launch_error(1, 96, 0, 1, false, bounded),
                       "__launch_bounds__ allow 64 threads, found 96"));
  EXPECT_EQ(launch_error(1, 1024, 0, 1, false, bounded_by_template<32>), "");
  EXPECT_TRUE(contains(launch_error(1, 256, 0, 1, false, bounded_by_template<4>),
                       "allow 128 threads, found 256"));
}

TEST(Launch, Clusters) {
  EXPECT_EQ(launch_error(4, 32, 0, 2), "");
  EXPECT_TRUE(contains(launch_error(3, 32, 0, 2), "divide the grid's x, found 2 and 3"));
  EXPECT_TRUE(contains(launch_error(16, 32, 0, 16), "1 to 8 blocks"));
}

TEST(Launch, ResidentBlocksMustFit) {
  EXPECT_EQ(launch_error(3, 1024, 200 << 10, 1, true), "");
  EXPECT_TRUE(contains(launch_error(4, 1024, 200 << 10, 1, true), "at most 3 blocks"));
}

}  // namespace
}  // namespace convoy::on_sim
