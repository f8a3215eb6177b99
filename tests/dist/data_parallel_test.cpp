// SPDX-License-Identifier: MIT
// W ranks with a W-th of the batch each have the gradients of one rank with all of it.
#include <gtest/gtest.h>

#include "dist/gloo.h"
#include "dist/parameter_gather.h"
#include "dist/reducer.h"
#include "dist/zero.h"
#include "nn/batch_norm_ranks.h"
#include "nn/models.h"
#include "runtime/ops.h"
#include "runtime/random.h"
#include "tests/dist/forked_ranks.h"
#include "tests/support/held_communicator.h"

namespace convoy::dist {
namespace {

using testing::ForkedRanks;

constexpr std::int64_t kBatch = 12;

struct Case {
  const char* model;
  Shape image;  // [height, width, channels]
};

struct Run {
  std::unique_ptr<nn::Module> net;
  nn::ParameterStore store;
  Tensor x, target;

  Run(const Case& c, const Device& device, std::optional<DType> half = {})
      : net(made(c)),
        store(*net, device, {}, half),
        x(cast(normal({kBatch, c.image[0], c.image[1], c.image[2]}, 0, 1, {7, 0}),
               half.value_or(DType::f32))
              .to(device)),
        target(labels().to(device)) {
    net->train();
  }
  static std::unique_ptr<nn::Module> made(const Case& c) {
    auto net =
        nn::create_model(c.model, {.num_classes = 10, .in_channels = static_cast<int>(c.image[2])});
    nn::initialize(*net, 3);
    return net;
  }
  static Tensor labels() {
    std::vector<std::int32_t> classes;
    for (std::int32_t i = 0; i < kBatch; ++i) classes.push_back(7 * i % 10);
    return from_vector(classes, {kBatch});
  }
  void move_input() {
    std::vector<float> values = to_vector<float>(x);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] *= 1 + (i % 2 ? 0x1p-20F : -0x1p-20F);
    x = from_vector(values, x.shape()).to(x.device());
  }
  void backward(std::int64_t first, std::int64_t end) const {
    const Shape& all = x.shape();
    const std::int64_t row = x.count() / kBatch;
    const Tensor rows = make_view(x, first * row, {end - first, all[1], all[2], all[3]},
                                  contiguous_strides({end - first, all[1], all[2], all[3]}));
    cross_entropy((*net)(rows), make_view(target, first, {end - first}, {1}), {}).backward();
  }
};

double largest_difference(const std::vector<float>& a, const std::vector<float>& b, double scale) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest =
        std::max(largest, std::abs(scale * static_cast<double>(a[i]) - static_cast<double>(b[i])));
  }
  return largest;
}

// Throws Error that names the parameter. How far a network amplifies rounding is not known
// beforehand: it is measured on one rank, whose input was `moved` in its last digits.
void require_close(const Run& all, const Run& moved, const Run& shared, int world_size) {
  for (std::size_t g = 0; g < all.store.groups().size(); ++g) {
    for (const nn::NamedSlice& slice : all.store.groups()[g].slices) {
      const auto of = [&](const Run& run) {
        return to_vector<float>(nn::ParameterStore::view(run.store.groups()[g].gradients, slice));
      };
      const std::vector<float> want = of(all), nothing(want.size());
      const double largest = largest_difference(want, nothing, 1);
      const double noise = largest_difference(of(moved), want, 1);
      const double error = largest_difference(of(shared), want, 1.0 / world_size);
      require(noise < 0x1p-5 * largest, "{}: a noise of {} of {} says nothing", slice.name, noise,
              largest);
      require(error <= 4 * noise + 0x1p-18 * largest,
              "{}: expects an error of at most 4 times {} at a largest gradient of {}, found {}",
              slice.name, noise, largest, error);
    }
  }
}

// Every rank must hold the same bits.
void require_alike(const Run& run, Communicator& communicator) {
  for (const auto& group : run.store.groups()) {
    const std::int64_t count = group.gradients.count();
    const int ranks = communicator.world_size();
    const Tensor all = empty({ranks * count}, group.gradients.like());
    communicator.all_gather(group.gradients, all, Partition(ranks * count, ranks)).wait();
    const auto own = to_vector<float>(group.gradients), every = to_vector<float>(all);
    for (std::size_t i = 0; i < every.size(); ++i) {
      require(every[i] == own[i % own.size()], "ranks differ at element {}", i % own.size());
    }
  }
}

void expect_gradients_of_one(const Case& c, const Device& device, int world_size) {
  const testing::TemporaryFolder folder;
  ForkedRanks ranks(world_size, [&](int rank) {
    set_compute_threads(1);
    const auto store = open_store(
        {.rank = rank, .world_size = world_size, .init = "file://" + std::string(folder / "meet")},
        std::chrono::seconds(60));
    const auto communicator = gloo_communicator(*store, rank, world_size, std::chrono::seconds(60),
                                                "gradients", "127.0.0.1");
    Run all(c, device), moved(c, device), shared(c, device);
    moved.move_input();
    for (Run* run : {&all, &moved}) {
      run->backward(0, kBatch);
      run->store.finish_gradients();
    }
    const auto norms =
        gloo_communicator(*store, rank, world_size, std::chrono::seconds(60), "norms", "127.0.0.1");
    nn::synchronise_batch_norm(*shared.net, rank_exchange(*norms));
    Reducer reducer(*shared.net, shared.store, *communicator, {{0.02, 0.01}});
    reducer.backward(
        [&] { shared.backward(rank * kBatch / world_size, (rank + 1) * kBatch / world_size); });
    reducer.finish();
    require_close(all, moved, shared, world_size);
    require_alike(shared, *communicator);
  });
  for (int rank = 0; rank < world_size; ++rank) {
    const auto ended = ranks.await(rank, 120);
    EXPECT_EQ(ended.code, 0) << "rank " << rank << " of " << world_size << ": " << ended.err;
  }
}

constexpr Case kLenet{"lenet5", {28, 28, 1}};

TEST(DataParallel, Lenet5HasTheGradientsOfOneRank) {
  for (const int ranks : {2, 3, 4}) expect_gradients_of_one(kLenet, {}, ranks);
}

TEST(DataParallel, Lenet5HasThemOnTheSimulator) {
  for (const int ranks : {2, 3, 4}) expect_gradients_of_one(kLenet, {DeviceType::sim}, ranks);
}

// Batch norm over all ranks' rows.
constexpr Case kResnet20{"resnet20", {12, 12, 3}};

TEST(DataParallel, Resnet20HasTheGradientsOfOneRank) {
  for (const int ranks : {2, 3, 4}) expect_gradients_of_one(kResnet20, {}, ranks);
}

TEST(DataParallel, Resnet20HasThemOnTheSimulator) {
  for (const int ranks : {2, 3, 4}) expect_gradients_of_one(kResnet20, {DeviceType::sim}, ranks);
}

// With ZeRO a layer waits for its own parameters alone: those of others are NaN until then.
void expect_waits_for_parameters(const Device& device, DType half) {
  Run run(kResnet20, device, half);
  const auto step = [&] {
    run.store.zero_grad();
    run.backward(0, 2);
    run.store.finish_gradients();
    std::vector<std::vector<float>> all;
    for (const auto& group : run.store.groups()) all.push_back(to_vector<float>(group.gradients));
    return all;
  };
  const auto expected = step();
  HeldCommunicator communicator(1, 3);
  const auto buckets = make_buckets(*run.net, run.store, 3, {0.02, 0.01});
  ParameterGather gather(run.store, buckets, communicator);
  EXPECT_TRUE(step() == expected);
  EXPECT_EQ(communicator.awaited(), std::ssize(buckets));
}

TEST(DataParallel, Resnet20OnTheSimulatorFindsParametersThatComeLate) {
  expect_waits_for_parameters({DeviceType::sim}, DType::f16);
}

}  // namespace
}  // namespace convoy::dist
