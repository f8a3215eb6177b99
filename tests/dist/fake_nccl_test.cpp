// SPDX-License-Identifier: MIT
// The communicator over NCCL, with a stand-in for the library and the simulator's streams: the
// conformance test's engine of this program, and what only a failing library shows.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "dist/nccl.h"
#include "dist/parameter_gather.h"
#include "nn/models.h"
#include "tests/dist/engines.h"
#include "tests/support/errors.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;
using testing::expect_says;
constexpr Device kSimulator{DeviceType::sim};

MakeCommunicator fake_nccl(milliseconds timeout) {
  return [timeout](Store& store, int rank, int world_size, const std::string& prefix) {
    return nccl_communicator(store, rank, world_size, kSimulator, timeout, prefix);
  };
}

void open_fake() {
  setenv("CONVOY_NCCL_PATH", CONVOY_FAKE_NCCL, 1);
  void* const library = dlopen(CONVOY_FAKE_NCCL, RTLD_NOW);
  ASSERT_NE(library, nullptr) << dlerror();
  const auto synchronize_by =
      reinterpret_cast<void (*)(void (*)(void*))>(dlsym(library, "fake_nccl_synchronize_by"));
  synchronize_by([](void* stream) { backend(kSimulator).synchronize({kSimulator, stream}); });
}

Tensor ones(std::int64_t count) { return full({count}, 1, {DType::f32, kSimulator}); }

TEST(Nccl, OneThatDoesNotTakePartIsAnErrorAfterTheTimeout) {
  const auto errors = errors_of_ranks(3, fake_nccl(milliseconds(300)), [](auto& ranks) {
    ranks->all_reduce(ones(10)).wait();
    if (ranks->rank() == 1) std::this_thread::sleep_for(milliseconds(800));
    if (ranks->rank() != 1) ranks->all_reduce(ones(12)).wait();
  });
  // Whoever gives up first may be what the other notices.
  expect_says(errors[0], "all_reduce 2 of f32 [12]: nccl: starting an operation: ");
  expect_says(errors[2], "all_reduce 2 of f32 [12]: nccl: starting an operation: ");
  expect_says(errors[0] + errors[2], "expects all ranks to take part within 0.3 s");
}

TEST(Nccl, AnErrorOfTheLibraryEndsTheCommunicator) {
  const auto errors = errors_of_ranks(2, fake_nccl(milliseconds(2000)), [](auto& ranks) {
    try {
      ranks->all_reduce(ones(ranks->rank() == 0 ? 10 : 12)).wait();
    } catch (const Error&) {
      ranks->all_reduce(ones(10)).wait();
    }
  });
  expect_says(errors[0], "all_reduce 1 of f32 [10]: nccl: starting an operation: error");
  expect_says(errors[1], "all_reduce 1 of f32 [12]: nccl: starting an operation: error");
}

TEST(Nccl, OneThatNeverComesIsNamed) {
  const auto make = [](Store& store, int rank, int world_size,
                       const std::string& prefix) -> std::unique_ptr<Communicator> {
    if (rank == 1) return single_communicator();
    return fake_nccl(milliseconds(300))(store, rank, world_size, prefix);
  };
  const auto errors = errors_of_ranks(3, make, [](auto&) {});
  expect_says(errors[0], "nccl: rank 1 has not come within 0.3 s");
  expect_says(errors[2], "nccl: rank 1 has not come within 0.3 s");
}

// As dist/communicator.h promises: else the caller's next tensor would lie where NCCL still reads.
TEST(Nccl, MemoryOfAnOperationUnderWayIsKept) {
  const auto errors = errors_of_ranks(2, fake_nccl(milliseconds(2000)), [](auto& ranks) {
    Tensor in = ones(1000), out = ones(1000);
    const std::weak_ptr<TensorImpl> sent = in.impl(), received = out.impl();
    Work work = ranks->all_reduce(in, out, Partition(1000, 2));
    in = out = Tensor();
    EXPECT_FALSE(sent.expired());
    EXPECT_FALSE(received.expired());
    work.wait();
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

// By streams: the one that asks for a parameter waits for the communicator's.
TEST(Nccl, ParametersComeToWhoeverAsks) {
  const auto errors = errors_of_ranks(2, fake_nccl(milliseconds(2000)), [](auto& ranks) {
    const auto net = nn::create_model("lenet5", {.num_classes = 10, .in_channels = 1});
    nn::initialize(*net, 1);
    const nn::ParameterStore store(*net, kSimulator);
    const auto buckets = make_buckets(*net, store, 2, {1.0 / 64, 1.0 / 256});
    const auto values = [&] {
      std::vector<std::vector<float>> all;
      for (const auto& p : net->parameters()) all.push_back(to_vector<float>(p.tensor));
      return all;
    };
    const auto expected = values();
    for (const Bucket& bucket : buckets) {
      Tensor others = view(store.groups()[bucket.group].values, bucket.part(1 - ranks->rank()));
      others.fill_(7);
    }
    ParameterGather gather(store, buckets, *ranks);
    require(values() == expected, "expects the values of both ranks, found others");
  });
  for (const std::string& error : errors) EXPECT_EQ(error, "");
}

TEST(Nccl, TensorsOfAnotherDeviceAreRefused) {
  const auto errors = errors_of_ranks(2, fake_nccl(milliseconds(2000)), [](auto& ranks) {
    ranks->all_reduce(full({3}, 1, {DType::f32, {DeviceType::cpu}}));
  });
  for (const std::string& error : errors) expect_says(error, "expects tensors on sim, found cpu");
}

}  // namespace

std::vector<Engine> engines() {
  open_fake();
  return {{.name = "fake_nccl",
           .make = fake_nccl(std::chrono::seconds(20)),
           .devices = [](int) { return std::vector{kSimulator}; },
           .in_rank_order = false}};
}

OneOfMany* one_of_many() { return nullptr; }

}  // namespace convoy::dist
