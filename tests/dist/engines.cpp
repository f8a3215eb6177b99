// SPDX-License-Identifier: MIT
#include "tests/dist/engines.h"

#include <algorithm>
#include <cstdlib>

#include "dist/nccl.h"

namespace convoy::dist {
namespace {

std::vector<Device> host_devices(int) {
  std::vector<Device> devices = {{DeviceType::cpu}};
  if (kHasSim) devices.push_back({DeviceType::sim});
  return devices;
}

// A GPU for each rank, or, among processes, one for all.
Engine nccl_engine() {
  int gpus = 0;
  for (const Device& device : available_devices()) gpus += device.type == DeviceType::cuda;
  const auto device_of_rank = [gpus](int rank) {
    return Device{DeviceType::cuda, one_of_many() != nullptr ? rank % gpus : rank};
  };
  return {.name = "nccl",
          .make =
              [=](Store& store, int rank, int world_size, const std::string& prefix) {
                return nccl_communicator(store, rank, world_size, device_of_rank(rank),
                                         std::chrono::seconds(60), prefix);
              },
          .devices = [=](int rank) { return std::vector{device_of_rank(rank)}; },
          .most_ranks = std::min(gpus, 8),
          .why_not = gpus == 0 ? "no GPU: " + why_no_gpu() : why_no_nccl(),
          .in_rank_order = false};
}

}  // namespace

std::vector<Engine> engines() {
  return {{.name = "gloo", .make = gloo(), .devices = host_devices}, nccl_engine()};
}

OneOfMany* one_of_many() {
  static const std::unique_ptr<OneOfMany> here = []() -> std::unique_ptr<OneOfMany> {
    const char* const init = std::getenv("CONVOY_TEST_RANKS");
    if (init == nullptr) return nullptr;
    Place place = place_from_environment(init);
    auto store = open_store(place, std::chrono::seconds(60));
    return std::make_unique<OneOfMany>(OneOfMany{std::move(place), std::move(store)});
  }();
  return here.get();
}

}  // namespace convoy::dist
