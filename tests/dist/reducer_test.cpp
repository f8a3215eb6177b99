// SPDX-License-Identifier: MIT
#include "dist/reducer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "nn/init.h"
#include "nn/layers.h"
#include "nn/models.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "tests/support/recording_communicator.h"

namespace convoy::dist {
namespace {

constexpr double kKiB = 1.0 / 1024;  // of a MB

struct Model {
  std::unique_ptr<nn::Module> net =
      nn::create_model("lenet5", {.num_classes = 10, .in_channels = 1});
  nn::ParameterStore store{*net};
  Tensor x = empty({2, 28, 28, 1}), target = from_vector<std::int32_t>({3, 7}, {2});

  Model() {
    nn::initialize(*net, 1);
    fill_normal(x);
    net->train();
  }
  static void fill_normal(const Tensor& t) {
    for (std::int64_t i = 0; i < t.count(); ++i) {
      t.as<float>()[i] = static_cast<float>((i * 2654435761 % 1000)) / 500.0F - 1;
    }
  }
  void backward() const { cross_entropy((*net)(x), target, {}).backward(); }
  std::vector<std::vector<float>> gradients() const {
    std::vector<std::vector<float>> all;
    for (const auto& group : store.groups()) all.push_back(to_vector<float>(group.gradients));
    return all;
  }
};

TEST(Buckets, CoverEveryGroupOnceInAlignedParts) {
  const Model m;
  for (const int ranks : {1, 2, 3, 4, 7}) {
    for (const double cap : {kKiB, 16 * kKiB, 25.0}) {
      const auto buckets = make_buckets(*m.net, m.store, ranks, {cap, cap / 2});
      std::vector<std::vector<int>> times;
      for (const auto& group : m.store.groups()) {
        times.emplace_back(static_cast<std::size_t>(group.gradients.count()));
      }
      for (const Bucket& bucket : buckets) {
        for (int rank = 0; rank < ranks; ++rank) {
          const Range part = bucket.part(rank);
          EXPECT_TRUE(part.begin % 64 == 0 || part.count() == 0);
          for (std::int64_t i = part.begin; i < part.end; ++i) {
            ++times[bucket.group][static_cast<std::size_t>(i)];
          }
        }
      }
      for (const auto& group : times) {
        EXPECT_EQ(std::count(group.begin(), group.end(), 1), std::ssize(group));
      }
    }
  }
  EXPECT_THROW(make_buckets(*m.net, m.store, 2, {0, 1}), Error);
}

TEST(Buckets, TheFirstIsSmallAndOfTheLastLayers) {
  const Model m;
  const auto buckets = make_buckets(*m.net, m.store, 2, {64 * kKiB, 4 * kKiB});
  EXPECT_LE(buckets.front().range.count() * 4, 4096);
  EXPECT_EQ(buckets.front().range.end, m.store.groups()[buckets.front().group].gradients.count());
  EXPECT_EQ(buckets.back().range.begin, 0);
}

TEST(Reducer, SumsAreTheGradientsTimesTheRanks) {
  Model m;
  m.backward();
  const auto alone = m.gradients();
  RecordingCommunicator communicator(0, 3);
  Reducer reducer(*m.net, m.store, communicator, {{16 * kKiB, 4 * kKiB}});
  for (int step = 0; step < 2; ++step) {
    m.store.zero_grad();
    reducer.backward([&] { m.backward(); });
    reducer.finish();
    const auto sums = m.gradients();
    for (std::size_t g = 0; g < sums.size(); ++g) {
      for (std::size_t i = 0; i < sums[g].size(); ++i) ASSERT_EQ(sums[g][i], 3 * alone[g][i]);
    }
  }
  EXPECT_EQ(communicator.asked().size(), 2 * reducer.buckets().size());
}

TEST(Reducer, BucketsStartInsideBackwardAndInOrder) {
  Model m;
  RecordingCommunicator communicator(0, 2);
  Reducer reducer(*m.net, m.store, communicator, {{16 * kKiB, 4 * kKiB}});
  std::size_t inside = 0;
  reducer.backward([&] {
    m.backward();
    inside = communicator.asked().size();
  });
  EXPECT_EQ(inside, reducer.buckets().size());  // all parameters take part
  reducer.finish();
  for (std::size_t b = 0; b < reducer.buckets().size(); ++b) {
    EXPECT_EQ(communicator.asked()[b].count, reducer.buckets()[b].range.count());
  }
}

TEST(Reducer, BatchesBeforeTheLastSendNothingAndAddUp) {
  Model m;
  m.backward();
  const auto once = m.gradients();
  RecordingCommunicator communicator(0, 1);
  Reducer reducer(*m.net, m.store, communicator);
  m.store.zero_grad();
  m.backward();
  EXPECT_TRUE(communicator.asked().empty());
  reducer.backward([&] { m.backward(); });
  reducer.finish();
  const auto sums = m.gradients();
  for (std::size_t g = 0; g < sums.size(); ++g) {
    for (std::size_t i = 0; i < sums[g].size(); ++i)
      ASSERT_NEAR(sums[g][i], 2 * once[g][i], 1e-5 * std::abs(once[g][i]) + 1e-8);
  }
}

TEST(Reducer, AParameterThatTookNoPartIsZeroAndHoldsNobodyUp) {
  Model m;
  RecordingCommunicator communicator(0, 2);
  Reducer reducer(*m.net, m.store, communicator, {{16 * kKiB, 4 * kKiB}});
  for (const auto& group : m.store.groups()) Tensor(group.gradients).fill_(7);
  m.store.zero_grad();
  reducer.backward([] {});
  reducer.finish();
  for (const auto& group : m.store.groups()) {
    for (const auto& slice : group.slices) {
      const auto values = to_vector<float>(nn::ParameterStore::view(group.gradients, slice));
      EXPECT_EQ(std::count(values.begin(), values.end(), 0.0F), std::ssize(values));
    }
  }
  EXPECT_EQ(communicator.asked().size(), reducer.buckets().size());
}

TEST(Reducer, ForZeroOnlyOwnPartsAreSummed) {
  Model m;
  m.backward();
  const auto alone = m.gradients();
  RecordingCommunicator communicator(1, 2);
  Reducer reducer(*m.net, m.store, communicator, {{16 * kKiB, 4 * kKiB}, true});
  m.store.zero_grad();
  reducer.backward([&] { m.backward(); });
  reducer.finish();
  const auto sums = m.gradients();
  for (const Bucket& bucket : reducer.buckets()) {
    const Range own = bucket.part(1);
    for (std::int64_t i = own.begin; i < own.end; ++i) {
      const auto at = static_cast<std::size_t>(i);
      ASSERT_EQ(sums[bucket.group][at], 2 * alone[bucket.group][at]);
    }
  }
  for (const auto& asked : communicator.asked()) EXPECT_EQ(asked.operation, "reduce_scatter");
}

// A layer whose backward takes `kSlow`.
constexpr std::chrono::milliseconds kSlow{20};
class SlowLayer final : public nn::Module {
 public:
  Tensor forward(const Tensor& x) override {
    const Tensor y = linear_(x);
    return record("slow", y.detach().clone(), {y}, [](const Tensor& dy, Grads& grads) {
      std::this_thread::sleep_for(kSlow);
      grads.pass(0, dy);
    });
  }

 private:
  nn::Linear& linear_ = add<nn::Linear>("linear", 16, 16, false);
};

class SlowNet final : public nn::Module {
 public:
  explicit SlowNet(int layers) {
    for (int i = 0; i < layers; ++i) layers_.push_back(&add<SlowLayer>(std::to_string(i)));
  }
  Tensor forward(const Tensor& x) override {
    Tensor y = x;
    for (SlowLayer* layer : layers_) y = (*layer)(y);
    return y;
  }

 private:
  std::vector<SlowLayer*> layers_;
};

// Other programs may have the cores, so the shortest of some times counts: sleeps in a row are
// never shorter than their sum.
TEST(Reducer, CommunicationAndBackwardShareTheTime) {
  constexpr int kLayers = 8;
  SlowNet net(kLayers);
  nn::initialize(net, 1);
  nn::ParameterStore store(net);
  RecordingCommunicator communicator(0, 2, kSlow);
  Reducer reducer(net, store, communicator, {{kKiB, kKiB}});
  ASSERT_EQ(reducer.buckets().size(), kLayers);
  auto shortest = std::chrono::steady_clock::duration::max();
  for (int time = 0; time < 5 && shortest >= (2 * kLayers - 3) * kSlow; ++time) {
    store.zero_grad();
    const auto start = std::chrono::steady_clock::now();
    reducer.backward([&] { sum(net(zeros({1, 16}))).backward(); });
    reducer.finish();
    shortest = std::min(shortest, std::chrono::steady_clock::now() - start);
  }
  EXPECT_GE(shortest, (kLayers + 1) * kSlow);      // the last bucket has nothing to hide behind
  EXPECT_LT(shortest, (2 * kLayers - 3) * kSlow);  // one after the other: 2 kLayers
}

}  // namespace
}  // namespace convoy::dist
