// SPDX-License-Identifier: MIT
#include "dist/parameter_gather.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "nn/layers.h"
#include "nn/models.h"
#include "nn/optimizer.h"
#include "runtime/ops.h"
#include "runtime/random.h"
#include "tests/support/errors.h"
#include "tests/support/held_communicator.h"
#include "tests/support/recording_communicator.h"

namespace convoy::dist {
namespace {

using testing::error_of, testing::expect_says;

constexpr double kKiB = 1.0 / 1024;  // of a MB
constexpr BucketOptions kSmall{16 * kKiB, 4 * kKiB};

struct Model {
  std::unique_ptr<nn::Module> net;
  nn::ParameterStore store;
  Tensor x;

  Model(const char* name, const Shape& image)
      : net(nn::create_model(name, {.num_classes = 10, .in_channels = static_cast<int>(image[3])})),
        store((nn::initialize(*net, 1), *net)),
        x(normal(image, 0, 1, {7, 0})) {
    net->train();
  }
  std::vector<Bucket> buckets(int ranks) const { return make_buckets(*net, store, ranks, kSmall); }
  // Of a step: the logits, then all gradients.
  std::vector<std::vector<float>> step() {
    store.zero_grad();
    const Tensor logits = (*net)(x);
    cross_entropy(logits, from_vector<std::int32_t>({3, 7}, {2}), {}).backward();
    store.finish_gradients();
    std::vector<std::vector<float>> all{to_vector<float>(logits)};
    for (const auto& group : store.groups()) all.push_back(to_vector<float>(group.gradients));
    return all;
  }
};

Model lenet() { return {"lenet5", {2, 28, 28, 1}}; }

// resnet20's convolutions, norms and activations are fused: one op reads parameters of several
// modules. The NaNs of what has not come would reach the logits.
TEST(ParameterGather, AStepFindsWhatComesLate) {
  for (const int rank : {0, 2}) {
    for (const auto& [name, image] :
         {std::pair("lenet5", Shape{2, 28, 28, 1}), std::pair("resnet20", Shape{2, 12, 12, 3})}) {
      Model m(name, image);
      const auto expected = m.step();
      HeldCommunicator communicator(rank, 3);
      const auto buckets = m.buckets(3);
      ParameterGather gather(m.store, buckets, communicator);
      EXPECT_EQ(communicator.awaited(), 0);
      EXPECT_TRUE(m.step() == expected) << name;
      EXPECT_EQ(communicator.awaited(), std::ssize(buckets));
      for (const auto& group : m.store.groups()) {
        EXPECT_EQ(group.values.impl()->storage->arrival, nullptr);
      }
    }
  }
}

// Equal layers, each of one bucket, whose forward takes `kSlow`.
constexpr std::chrono::milliseconds kSlow{20};
constexpr int kLayers = 8;
class Layer final : public nn::Module {
 public:
  Tensor forward(const Tensor& x) override {
    const Tensor y = linear_(x);
    std::this_thread::sleep_for(kSlow);
    return y;
  }

 private:
  nn::Linear& linear_ = add<nn::Linear>("linear", 16, 16, false);
};

struct Net {
  nn::Sequential layers;
  std::unique_ptr<nn::ParameterStore> store;
  std::vector<Bucket> buckets;

  Net() {
    for (int i = 0; i < kLayers; ++i) layers.push<Layer>();
    nn::initialize(layers, 1);
    store = std::make_unique<nn::ParameterStore>(layers);
    buckets = make_buckets(layers, *store, 2, {kKiB, kKiB});
  }
};

TEST(ParameterGather, ALayerRunsBeforeTheNextOnesBucketIsAwaited) {
  Net net;
  ASSERT_EQ(net.buckets.size(), kLayers);
  HeldCommunicator communicator(0, 2);
  std::string order;
  ParameterGather gather(*net.store, net.buckets, communicator, [&](Work& bucket) {
    order += 'b';
    bucket.wait();
  });
  const nn::ForwardObserver observer([&](const nn::Module& module, const Tensor&) {
    if (dynamic_cast<const Layer*>(&module) != nullptr) order += 'l';
  });
  net.layers(zeros({1, 16}));
  EXPECT_EQ(order, "blblblblblblblbl");
}

// Other programs may have the cores: the shortest of some times counts.
TEST(ParameterGather, CommunicationAndForwardShareTheTime) {
  Net net;
  RecordingCommunicator communicator(0, 2, kSlow);
  auto shortest = std::chrono::steady_clock::duration::max();
  for (int time = 0; time < 5 && shortest >= (2 * kLayers - 3) * kSlow; ++time) {
    const auto start = std::chrono::steady_clock::now();
    ParameterGather gather(*net.store, net.buckets, communicator);
    net.layers(zeros({1, 16}));
    shortest = std::min(shortest, std::chrono::steady_clock::now() - start);
  }
  EXPECT_GE(shortest, (kLayers + 1) * kSlow);      // the first bucket has nothing to hide behind
  EXPECT_LT(shortest, (2 * kLayers - 3) * kSlow);  // one after the other: 2 kLayers
  const Tensor first = view(net.store->groups()[0].values, net.buckets.back().range);
  EXPECT_EQ(communicator.asked().front().data, first.data());
}

// Counted element by element.
std::size_t buckets_with(const Model& m, const std::vector<Bucket>& buckets, std::size_t group,
                         const nn::NamedSlice& slice) {
  std::vector<std::size_t> found;
  for (std::int64_t i = slice.offset; i < slice.offset + slice.count; ++i) {
    for (std::size_t b = 0; b < buckets.size(); ++b) {
      const Range& range = buckets[b].range;
      if (buckets[b].group == group && range.begin <= i && i < range.end) found.push_back(b);
    }
  }
  EXPECT_EQ(std::ssize(found), m.store.groups()[group].slices.empty() ? 0 : slice.count);
  std::sort(found.begin(), found.end());
  return static_cast<std::size_t>(std::unique(found.begin(), found.end()) - found.begin());
}

TEST(ParameterGather, AParameterWaitsForItsBucketsAndOnce) {
  const Model m = lenet();
  const auto buckets = m.buckets(3);
  std::size_t most = 0;
  for (std::size_t g = 0; g < m.store.groups().size(); ++g) {
    for (const nn::NamedSlice& slice : m.store.groups()[g].slices) {
      const std::size_t expected = buckets_with(m, buckets, g, slice);
      HeldCommunicator communicator(1, 3);
      ParameterGather gather(m.store, buckets, communicator);
      for (int time = 0; time < 2; ++time) {
        slice.parameter.data();
        EXPECT_EQ(communicator.awaited(), expected) << slice.name;
      }
      most = std::max(most, expected);
      gather.await_all();
      EXPECT_EQ(communicator.awaited(), std::ssize(buckets));
    }
  }
  EXPECT_GT(most, 1);  // of the first linear layer
}

TEST(ParameterGather, AFlatBufferWaitsForItsGroup) {
  const Model m = lenet();
  const auto buckets = m.buckets(2);
  const auto values = [&](std::size_t group) {
    return to_vector<float>(m.store.groups()[group].values);
  };
  const auto expected = values(1);
  HeldCommunicator communicator(1, 2);
  ParameterGather gather(m.store, buckets, communicator);
  EXPECT_EQ(values(1), expected);
  EXPECT_EQ(communicator.awaited(),
            std::count_if(buckets.begin(), buckets.end(), [](auto& b) { return b.group == 1; }));
  EXPECT_NE(m.store.groups()[0].values.impl()->storage->arrival, nullptr);
}

// A parameter that the step did not use is stepped all the same, after it has come.
TEST(ParameterGather, AnOptimizerWaitsForWhatItSteps) {
  Model m = lenet(), other = lenet();
  const auto stepped = [](Model& model) {
    nn::Optimizer optimizer(model.store, {.kind = nn::OptimizerKind::sgd, .weight_decay = 0.1});
    optimizer.begin_step(0.1, 1);
    optimizer.step();
    std::vector<std::vector<float>> all;
    for (const auto& group : model.store.groups()) all.push_back(to_vector<float>(group.values));
    return all;
  };
  const auto expected = stepped(other);
  HeldCommunicator communicator(0, 2);
  ParameterGather gather(m.store, m.buckets(2), communicator);
  EXPECT_TRUE(stepped(m) == expected);
}

TEST(ParameterGather, AnErrorIsThatOfWhoeverAsks) {
  const Model m = lenet();
  const Tensor first = m.store.groups()[0].slices[0].parameter;
  {
    HeldCommunicator communicator(0, 2);
    ParameterGather gather(m.store, m.buckets(2), communicator);
    communicator.fail("rank 1 is gone");
    for (int time = 0; time < 2; ++time) {
      expect_says(error_of([&] { first.data(); }), "rank 1 is gone");
      expect_says(error_of([&] { gather.await_all(); }), "rank 1 is gone");
    }
    expect_says(error_of([&] { ParameterGather(m.store, m.buckets(2), communicator); }),
                "expects the one before to have been awaited");
    EXPECT_NE(first.impl()->storage->arrival, nullptr);
  }
  EXPECT_EQ(first.impl()->storage->arrival, nullptr);
  first.data();
}

TEST(ParameterGather, WhatItHasHeldMayGoBeforeIt) {
  HeldCommunicator communicator(0, 2);
  std::unique_ptr<ParameterGather> gather;
  {
    const Model m = lenet();
    gather = std::make_unique<ParameterGather>(m.store, m.buckets(2), communicator);
  }
  gather->await_all();
}

}  // namespace
}  // namespace convoy::dist
