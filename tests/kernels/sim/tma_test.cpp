// SPDX-License-Identifier: MIT
// TMA loads and stores against plain loops over coordinates, and what a missing wait or fence does.
#include "kernels/gpu/ptx/tma.cuh"

#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/gpu/ptx/fence.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

// A tensor of 16-bit numbers, every one different from its neighbours; strides leave gaps.
struct Tensor {
  int rank;
  std::int64_t extent[4], stride[4];
  DeviceVector<std::uint16_t> values;

  explicit Tensor(DeviceVector<std::int64_t> extents) : rank(static_cast<int>(extents.size())) {
    std::int64_t next = 1;
    for (int d = 0; d < 4; ++d) {
      extent[d] = d < rank ? extents[d] : 1;
      stride[d] = next;
      next = (next * extent[d] + 8 + 7) / 8 * 8;  // multiples of 16 bytes, and a gap
    }
    values.resize(static_cast<std::size_t>(next));
    std::iota(values.begin(), values.end(), static_cast<std::uint16_t>(1));
  }
  bool holds(const int (&at)[4]) const {
    for (int d = 0; d < 4; ++d) {
      if (at[d] < 0 || at[d] >= extent[d]) return false;
    }
    return true;
  }
  std::size_t place(const int (&at)[4]) const {
    std::int64_t place = 0;
    for (int d = 0; d < 4; ++d) place += at[d] * stride[d];
    return static_cast<std::size_t>(place);
  }
  TensorMap map(const int (&box)[4], Swizzle swizzle) const {
    TensorMapSpec spec{
        .data = values.data(), .dtype = DType::f16, .rank = rank, .swizzle = swizzle};
    std::copy(std::begin(extent), std::end(extent), spec.extent);
    std::copy(std::begin(stride), std::end(stride), spec.stride);
    std::copy(std::begin(box), std::end(box), spec.box);
    return tensor_map(spec);
  }
};

// Calls f(coordinates, index in shared memory) for each element of the box. Swizzled rows have 128
// bytes, 8 units of 8 elements; unit u of row r lies at u xor (r mod 8).
template <class F>
void for_each_element(const int (&box)[4], const int (&at)[4], Swizzle swizzle, F f) {
  int row = 0;
  for (int i3 = 0; i3 < box[3]; ++i3) {
    for (int i2 = 0; i2 < box[2]; ++i2) {
      for (int i1 = 0; i1 < box[1]; ++i1, ++row) {
        for (int i0 = 0; i0 < box[0]; ++i0) {
          const int unit = swizzle == Swizzle::none ? i0 / 8 : (i0 / 8) ^ (row % 8);
          const int coordinates[4] = {at[0] + i0, at[1] + i1, at[2] + i2, at[3] + i3};
          f(coordinates, row * box[0] + 8 * unit + i0 % 8);
        }
      }
    }
  }
}

constexpr int kElements = 64 * 64;

struct Tile {
  alignas(1024) std::uint16_t values[kElements];
  Mbarrier full;
};

template <int kRank>
__global__ void load_box(const __grid_constant__ TensorMap map, int4 at, unsigned bytes,
                         std::uint16_t* y) {
  auto& s = shared<Tile>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(s.full, bytes);
    if constexpr (kRank == 1) tma_load(s.values, map, s.full, {at.x});
    if constexpr (kRank == 2) tma_load(s.values, map, s.full, {at.x, at.y});
    if constexpr (kRank == 3) tma_load(s.values, map, s.full, {at.x, at.y, at.z});
    if constexpr (kRank == 4) tma_load(s.values, map, s.full, {at.x, at.y, at.z, at.w});
  }
  mbarrier_wait(s.full, 0);
  for (unsigned i = threadIdx.x; i < bytes / 2; i += blockDim.x) y[i] = s.values[i];
}

void check_load(const Tensor& x, const int (&box)[4], const int (&at)[4], Swizzle swizzle) {
  const int count = box[0] * box[1] * box[2] * box[3];
  DeviceVector<std::uint16_t> found(static_cast<std::size_t>(count));
  auto* kernel = x.rank == 1   ? load_box<1>
                 : x.rank == 2 ? load_box<2>
                 : x.rank == 3 ? load_box<3>
                               : load_box<4>;
  launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Tile), .stream = kSimStream}, kernel,
         x.map(box, swizzle), int4{at[0], at[1], at[2], at[3]}, static_cast<unsigned>(2 * count),
         found.data());
  for_each_element(box, at, swizzle, [&](const int(&c)[4], int i) {
    ASSERT_EQ(found[i], x.holds(c) ? x.values[x.place(c)] : 0)
        << c[0] << "," << c[1] << "," << c[2] << "," << c[3];
  });
}

TEST(Tma, LoadsBoxesAndFillsWithZerosOutside) {
  over_schedules([] {
    check_load(Tensor({100}), {24, 1, 1, 1}, {90, 0, 0, 0}, Swizzle::none);
    for (const int y : {-3, 0, 5, 30, 31, 40}) {
      check_load(Tensor({70, 31}), {16, 5, 1, 1}, {60, y, 0, 0}, Swizzle::none);
      check_load(Tensor({70, 31}), {16, 5, 1, 1}, {-9, y, 0, 0}, Swizzle::none);
      check_load(Tensor({129, 31}), {64, 17, 1, 1}, {-1, y, 0, 0}, Swizzle::bytes128);
      check_load(Tensor({129, 31}), {64, 17, 1, 1}, {100, y, 0, 0}, Swizzle::bytes128);
    }
    check_load(Tensor({17, 5, 3}), {24, 4, 2, 1}, {-2, 3, 2, 0}, Swizzle::none);
    for (const int z : {-1, 0, 4}) {
      check_load(Tensor({64, 7, 5, 2}), {64, 5, 3, 2}, {0, z, z - 1, 0}, Swizzle::bytes128);
      check_load(Tensor({33, 7, 5, 2}), {16, 5, 3, 2}, {20, z, z - 1, 1}, Swizzle::none);
    }
  });
}

template <int kRank>
__global__ void store_box(const __grid_constant__ TensorMap map, int4 at, int count) {
  auto& s = shared<Tile>();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += 32) {
    s.values[i] = static_cast<std::uint16_t>(30000 + i);
  }
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    if constexpr (kRank == 2) tma_store(map, s.values, {at.x, at.y});
    if constexpr (kRank == 4) tma_store(map, s.values, {at.x, at.y, at.z, at.w});
    tma_store_commit();
    tma_store_wait_read<0>();
  }
}

void check_store(Tensor x, const int (&box)[4], const int (&at)[4], Swizzle swizzle) {
  DeviceVector<std::uint16_t> expected = x.values;
  for_each_element(box, at, swizzle, [&](const int(&c)[4], int i) {
    if (x.holds(c)) expected[x.place(c)] = static_cast<std::uint16_t>(30000 + i);
  });
  launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Tile), .stream = kSimStream},
         x.rank == 2 ? store_box<2> : store_box<4>, x.map(box, swizzle),
         int4{at[0], at[1], at[2], at[3]}, box[0] * box[1] * box[2] * box[3]);
  ASSERT_EQ(x.values, expected);
}

TEST(Tma, StoresBoxesAndNothingOutside) {
  over_schedules([] {
    for (const int y : {-3, 0, 29, 31}) {
      check_store(Tensor({70, 31}), {16, 5, 1, 1}, {60, y, 0, 0}, Swizzle::none);
      check_store(Tensor({70, 31}), {64, 9, 1, 1}, {-5, y, 0, 0}, Swizzle::bytes128);
    }
    check_store(Tensor({64, 7, 5, 2}), {64, 5, 3, 2}, {8, 4, -1, 1}, Swizzle::bytes128);
    check_store(Tensor({33, 7, 5, 2}), {16, 5, 3, 2}, {-4, -2, 3, 0}, Swizzle::none);
  });
}

// Each block of a cluster of two loads one half of the tile for both.
__global__ void load_halves(const __grid_constant__ TensorMap map, std::uint16_t* y) {
  auto& s = shared<Tile>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    fence_mbarrier_init();
  }
  cluster_sync();
  const int rank = static_cast<int>(cluster_rank());
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(s.full, 2 * 64 * 16);
    tma_load_multicast(&s.values[64 * 8 * rank], map, s.full, {0, 8 * rank}, 3);
  }
  mbarrier_wait(s.full, 0);
  for (int i = static_cast<int>(threadIdx.x); i < 64 * 16; i += 32) {
    y[64 * 16 * blockIdx.x + i] = s.values[i];
  }
  cluster_sync();
}

TEST(Tma, MulticastsToAClusterOverFiftySeeds) {
  const Tensor x({64, 16});
  const int box[4] = {64, 8, 1, 1}, whole[4] = {64, 16, 1, 1}, origin[4] = {};
  over_schedules(
      [&] {
        DeviceVector<std::uint16_t> found(4 * 64 * 16);
        launch({.grid = 4,
                .block = 32,
                .shared_bytes = sizeof(Tile),
                .stream = kSimStream,
                .cluster = 2},
               load_halves, x.map(box, Swizzle::bytes128), found.data());
        for (int block = 0; block < 4; ++block) {
          for_each_element(whole, origin, Swizzle::bytes128, [&](const int(&c)[4], int i) {
            ASSERT_EQ(found[64 * 16 * block + i], x.values[x.place(c)]);
          });
        }
      },
      50);
}

struct Line {
  alignas(16) float values[32];
  Mbarrier full;
};
__global__ void load_run(const float* x, float* y) {
  auto& s = shared<Line>();
  if (threadIdx.x == 0) {
    mbarrier_init(s.full, 1);
    mbarrier_arrive_expect(s.full, sizeof(s.values));
    bulk_load(s.values, x, sizeof(s.values), s.full);
  }
  __syncthreads();
  mbarrier_wait(s.full, 0);
  y[threadIdx.x] = s.values[threadIdx.x];
}

TEST(Tma, LoadsARunOfBytes) {
  over_schedules([] {
    DeviceVector<float> x(32), y(32);
    std::iota(x.begin(), x.end(), 1.0f);
    launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Line), .stream = kSimStream}, load_run,
           x.data(), y.data());
    for (int i = 0; i < 32; ++i) EXPECT_EQ(y[i], x[i]);
  });
}

// ---- planted faults ----

enum class Fault { none, no_wait, too_few_bytes, too_many_bytes, misplaced, nobody_waits };

LINE_HERE(kLoad)
template <Fault kFault>
__global__ void load_wrongly(const __grid_constant__ TensorMap map, std::uint16_t* y) {
  auto& s = shared<Tile>();
  constexpr unsigned kBytes = kFault == Fault::too_few_bytes    ? 1024
                              : kFault == Fault::too_many_bytes ? 4096
                                                                : 2048;
  if (threadIdx.x == 0) mbarrier_init(s.full, 1);
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect(s.full, kBytes);
    tma_load(&s.values[kFault == Fault::misplaced ? 64 : 0], map, s.full, {0, 0});
  }
  if (kFault == Fault::nobody_waits) return;
  if (kFault != Fault::no_wait) mbarrier_wait(s.full, 0);
  for (unsigned i = threadIdx.x; i < 1024; i += 32) y[i] = s.values[i];
  if (kFault == Fault::no_wait) mbarrier_wait(s.full, 0);
}
constexpr int kLoadLine = kLoad + 11, kWaitLine = kLoad + 14;

template <Fault kFault>
DeviceVector<std::uint16_t> load_with() {
  const Tensor x({64, 16});
  DeviceVector<std::uint16_t> found(1024);
  launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Tile), .stream = kSimStream},
         load_wrongly<kFault>, x.map({64, 16, 1, 1}, Swizzle::bytes128), found.data());
  return found;
}

TEST(Tma, AMissingFullWaitGivesPoison) {
  over_schedules([] {
    if (sim::options().async == sim::Async::eager) return;
    EXPECT_TRUE(shows([] {
      const auto found = load_with<Fault::no_wait>();
      return std::count(found.begin(), found.end(), 0xffff) > 0;
    }));
  });
}

TEST(Tma, AWrongLoadIsNamed) {
  EXPECT_FAULT(load_with<Fault::too_few_bytes>, "expects a transaction count of 0 to 1048575 bytes",
               kLoadLine);
  EXPECT_FAULT(load_with<Fault::too_many_bytes>, "wait for an mbarrier's phase of parity 0",
               kWaitLine);
  EXPECT_FAULT(load_with<Fault::misplaced>, "at a multiple of 1024, found offset 128", kLoadLine);
  over_schedules([] {
    if (sim::options().async != sim::Async::late) return;
    const std::string error = error_of([] { load_with<Fault::nobody_waits>(); });
    EXPECT_TRUE(contains(error, "writes the shared memory of block (0,0,0), which has exited"))
        << error;
  });
}

enum class StoreFault { none, no_fence, no_wait, no_read_wait };

LINE_HERE(kStore)
template <StoreFault kFault>
__global__ void store_wrongly(const __grid_constant__ TensorMap map) {
  auto& s = shared<Tile>();
  for (int lap = 0; lap < 2; ++lap) {
    for (unsigned i = threadIdx.x; i < 1024; i += 32)
      s.values[i] = static_cast<std::uint16_t>(i + lap);
    if (kFault != StoreFault::no_fence || lap == 0) fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
      tma_store(map, s.values, {0, 16 * lap});
      tma_store_commit();
      if (kFault != StoreFault::no_wait && (kFault != StoreFault::no_read_wait || lap == 1)) {
        tma_store_wait_read<0>();
      }
    }
    __syncthreads();
  }
}
constexpr int kStoreLine = kStore + 10;

template <StoreFault kFault>
DeviceVector<std::uint16_t> store_with() {
  const Tensor x({64, 32});
  launch({.grid = 1, .block = 32, .shared_bytes = sizeof(Tile), .stream = kSimStream},
         store_wrongly<kFault>, x.map({64, 16, 1, 1}, Swizzle::bytes128));
  return x.values;
}

TEST(Tma, StoresAreOrderedOverFiftySeeds) {
  const auto expected = store_with<StoreFault::none>();
  over_schedules([&] { ASSERT_EQ(store_with<StoreFault::none>(), expected); }, seeds(50));
}

TEST(Tma, AMissingProxyFenceIsNamed) {
  EXPECT_FAULT(store_with<StoreFault::no_fence>, "TMA store: reads shared memory at offset",
               kStoreLine);
}

TEST(Tma, AStoreThatNobodyWaitsForIsNamed) {
  over_schedules([] {
    const std::string error = error_of(store_with<StoreFault::no_wait>);
    EXPECT_TRUE(contains(error, ".cpp:" + std::to_string(kStoreLine))) << error;
    if (sim::options().async == sim::Async::late) {
      const std::string second = error_of(store_with<StoreFault::no_read_wait>);
      EXPECT_TRUE(
          contains(second, sim::access::kEnabled ? "race: " : "is written while it is read"))
          << second;
    }
  });
}

TEST(TensorMap, ExpectsWhatTheCopyEngineTakes) {
  alignas(16) static std::uint16_t x[64 * 64];
  const TensorMapSpec good{
      .data = x, .rank = 2, .extent = {64, 64}, .stride = {1, 64}, .box = {64, 8}};
  const auto error_with = [&](auto change) {
    TensorMapSpec spec = good;
    change(spec);
    return error_of([&] { tensor_map(spec); });
  };
  EXPECT_EQ(error_with([](TensorMapSpec&) {}), "");
  EXPECT_TRUE(contains(error_with([](auto& s) { s.data = x + 4; }), "a multiple of 16"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.rank = 5; }), "rank expects 1 to 4, found 5"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.stride[0] = 2; }), "innermost stride"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.stride[1] = 63; }), "found 126 bytes"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.extent[1] = 0; }), "extent 1 expects"));
  EXPECT_TRUE(contains(error_with([](auto& s) { s.box[1] = 257; }), "box 1 expects"));
  EXPECT_TRUE(
      contains(error_with([](auto& s) { s.box[0] = 12; }), "multiple of 16 bytes, found 24"));
  EXPECT_TRUE(contains(error_with([](auto& s) {
                         s.box[0] = 32;
                         s.swizzle = Swizzle::bytes128;
                       }),
                       "expects 128 bytes, found 64"));
}

}  // namespace
}  // namespace convoy::on_sim
