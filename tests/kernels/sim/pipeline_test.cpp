// SPDX-License-Identifier: MIT
// One kernel with everything: TMA with multicast, full and empty mbarriers, wgmma, setmaxnreg, a
// cluster of two. Right under every schedule, and every barrier, wait and fence of it is needed.
#include <random>
#include <vector>

#include "tests/kernels/sim/pipeline.cuh"
#include "tests/kernels/sim/sim_support.h"

namespace convoy::on_sim {
namespace {

using namespace convoy::testing;

// Small integers, so that every result is exact.
template <class T>
struct Problem {
  PipelineShape shape;
  DeviceVector<T> a, b;
  DeviceVector<float> expected;

  explicit Problem(PipelineShape s) : shape(s), a(values(s.m * s.k, 1)), b(values(s.n * s.k, 2)) {
    for (int m = 0; m < s.m; ++m) {
      for (int n = 0; n < s.n; ++n) {
        float sum = 0;
        for (int k = 0; k < s.k; ++k) sum += to_float(a[m * s.k + k]) * to_float(b[n * s.k + k]);
        expected.push_back(to_float(from_float<T>(sum)));
      }
    }
  }
  static DeviceVector<T> values(int count, unsigned seed) {
    std::mt19937 random(seed);
    DeviceVector<T> result;
    for (int i = 0; i < count; ++i) {
      result.push_back(from_float<T>(static_cast<float>(random() % 5) - 2));
    }
    return result;
  }
  // The error's text, or how many results are wrong, or nothing.
  template <class Config>
  std::string outcome(int clusters = 1) const {
    DeviceVector<T> c(expected.size());
    const std::string error = error_of(
        [&] { run_pipeline<Config>(a.data(), b.data(), c.data(), shape, clusters, kSimStream); });
    if (!error.empty()) return error;
    int wrong = 0;
    for (std::size_t i = 0; i < c.size(); ++i) wrong += to_float(c[i]) != expected[i];
    return wrong == 0 ? "" : std::to_string(wrong) + " wrong";
  }
};

template <PipelineFault kFault = PipelineFault::none>
using Narrow = PipelineConfig<F16, 64, 2, kFault>;

const Problem<F16>& small_problem() {  // three tiles, of them two ragged, of three stages each
  static const Problem<F16> problem({150, 136, 136});
  return problem;
}

TEST(Pipeline, IsRightForRaggedShapes) {
  for (const PipelineShape shape : {PipelineShape{1, 8, 8}, {256, 128, 64}, {300, 264, 200}}) {
    EXPECT_EQ((Problem<F16>(shape).outcome<PipelineConfig<F16, 128, 4>>()), "");
    EXPECT_EQ((Problem<BF16>(shape).outcome<PipelineConfig<BF16, 256, 3>>()), "");
    EXPECT_EQ((Problem<F16>(shape).outcome<Narrow<>>(3)), "");
  }
}

TEST(Pipeline, IsRightOverFiftySeeds) {
  over_schedules([] { ASSERT_EQ(small_problem().outcome<Narrow<>>(), ""); }, seeds(50));
}

// The first outcome that is not right, over schedules and async modes.
template <class Config>
std::string first_failure() {
  std::string failure;
  over_schedules([&] {
    if (failure.empty()) failure = small_problem().outcome<Config>();
  });
  return failure;
}

TEST(Pipeline, NeedsEachOfItsBarriersWaitsAndFences) {
  sim::mutation::record();
  EXPECT_EQ(small_problem().outcome<Narrow<>>(), "");
  int sites = 0;
  for (const auto& [site, is_bound] : sim::mutation::stop_recording()) {
    if (is_bound) continue;
    ++sites;
    sim::mutation::plant(site, sim::Mutation::skip);
    const std::string failure = first_failure<Narrow<>>();
    sim::mutation::clear();
    EXPECT_NE(failure, "") << "without " << sim::to_text(site);
    RecordProperty(sim::to_text(site), failure);
  }
  EXPECT_GE(sites, 12);
}

TEST(Pipeline, NamesWhatIsWrong) {
  EXPECT_TRUE(contains(first_failure<Narrow<PipelineFault::no_empty_arrival>>(),
                       "wait for an mbarrier's phase of parity 0"));
  EXPECT_NE(first_failure<Narrow<PipelineFault::wrong_parity>>(), "");
  EXPECT_TRUE(contains(first_failure<Narrow<PipelineFault::too_few_bytes>>(),
                       "expects a transaction count of 0 to"));
}

}  // namespace
}  // namespace convoy::on_sim
