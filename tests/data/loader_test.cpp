// SPDX-License-Identifier: MIT
#include "data/loader.h"

#include <malloc.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <thread>

#include "data/memory_dataset.h"
#include "tests/data/files.h"
#include "tests/data/numbered.h"

namespace convoy::data {
namespace {

using testing::Epoch;
using testing::expect_error;
using testing::Numbered;
using testing::rest_of_epoch;
using testing::run;
using testing::Slow;

TEST(Loader, EvaluationCountsEachSampleOnceInOrder) {
  Loader loader(std::make_shared<Numbered>(10), {.batch_size = 4});
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  EXPECT_EQ(loader.samples_per_epoch(), 10);
  const std::vector<std::int64_t> valid{4, 4, 2};
  for (std::int64_t batch = 0; batch < 3; ++batch) {
    const Batch* b = loader.next();
    ASSERT_NE(b, nullptr);
    EXPECT_EQ(b->valid, valid[static_cast<std::size_t>(batch)]);
    EXPECT_EQ(b->position, 4 * batch);
    for (std::int64_t r = 0; r < 4; ++r) {
      const auto at = static_cast<std::size_t>(r);
      const std::int64_t index = r < b->valid ? 4 * batch + r : -1;
      EXPECT_EQ(b->indices[at], index);
      EXPECT_EQ(b->labels[at], index < 0 ? kNoLabel : index % 3);
      EXPECT_EQ(b->images[at * 6], index < 0 ? 0 : index);
      EXPECT_EQ(b->images[at * 6 + 5], index < 0 ? 0 : index);
      EXPECT_EQ(b->row[at], ImageRow{});
    }
  }
  EXPECT_EQ(loader.next(), nullptr);
  EXPECT_EQ(loader.next(), nullptr);
}

TEST(Loader, TrainingVisitsWholeBatchesOfAPermutation) {
  const LoaderOptions options{.batch_size = 4, .training = true, .seed = 3};
  std::set<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    const Epoch e = run(10, options, epoch);
    EXPECT_EQ(e.indices.size(), 8U);
    EXPECT_EQ(std::set(e.indices.begin(), e.indices.end()).size(), 8U);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(e.images[6 * i], e.indices[i]);
    orders.insert(e.indices);
  }
  EXPECT_EQ(orders.size(), 5U);
  EXPECT_NE(run(10, options, 0).indices,
            run(10, {.batch_size = 4, .training = true, .seed = 4}, 0).indices);
}

TEST(Loader, NeitherWorkersNorDepthChangeABit) {
  LoaderOptions options{.batch_size = 16, .training = true};
  options.augmentation = {
      .padding = 2, .hflip = 0.5, .scale_min = 0.3, .ratio_min = 0.7, .ratio_max = 1.4};
  options.row = {5, 4, 1};
  std::uint32_t run = 0;
  for (const std::uint64_t seed : {1, 2, 3}) {
    options.seed = seed, options.workers = 0, options.depth = 1;
    const auto two_epochs = [&] {
      Loader loader(std::make_shared<Slow>(100, ++run), options);
      std::vector<Epoch> epochs;
      for (std::int64_t epoch = 4; epoch < 6; ++epoch) {
        loader.start(epoch);
        epochs.push_back(rest_of_epoch(loader));
      }
      return epochs;
    };
    const auto expected = two_epochs();
    EXPECT_NE(expected[0].rows, expected[1].rows);
    for (const int workers : {0, 1, 2, 3, 4, 8, 16}) {
      for (const int depth : {1, 2, 4, 16}) {
        options.workers = workers, options.depth = depth;
        EXPECT_EQ(two_epochs(), expected) << workers << " workers, depth " << depth;
      }
    }
  }
}

// An evaluation between two epochs' ends, a new start in the middle of what is fetched ahead.
TEST(Loader, MayBeStartedAnywhereAtAnyTime) {
  const LoaderOptions options{.batch_size = 4, .training = true, .seed = 3};
  LoaderOptions ahead = options;
  ahead.workers = 3, ahead.depth = 4;
  Loader loader(std::make_shared<Slow>(23, 1), ahead);
  for (const std::int64_t epoch : {0, 1, 7, 7, 2, 3}) {
    loader.start(epoch);
    EXPECT_EQ(rest_of_epoch(loader), run(23, options, epoch)) << epoch;
  }
  loader.start(3, 8);
  ASSERT_NE(loader.next(), nullptr);
  loader.start(3, 8);
  EXPECT_EQ(loader.next()->position, 8);
  loader.start(4);
  EXPECT_EQ(rest_of_epoch(loader), run(23, options, 4));
}

TEST(Loader, AnErrorComesAtItsBatchEachTime) {
  for (const int workers : {1, 4, 16}) {
    for (std::int64_t bad = 0; bad < 64; ++bad) {
      SCOPED_TRACE(::testing::Message() << workers << " workers, sample " << bad);
      std::optional<Loader> loader;
      loader.emplace(std::make_shared<Slow>(64, 1, bad),
                     LoaderOptions{.batch_size = 8, .workers = workers, .depth = 3});
      for (std::int64_t batch = 0; batch < bad / 8; ++batch) {
        const Batch* b = loader->next();
        ASSERT_NE(b, nullptr);
        EXPECT_EQ(b->position, 8 * batch);
      }
      for (int time = 0; time < 2; ++time) {
        testing::expect_data_error([&] { loader->next(); }, {fmt::format("sample {} is bad", bad)});
      }
      const auto thrown = std::chrono::steady_clock::now();
      loader.reset();  // joins the workers
      EXPECT_LT(std::chrono::steady_clock::now() - thrown, std::chrono::seconds(2));
    }
  }
}

// What /proc/self/NAME has.
std::ptrdiff_t entries(const char* name) {
  const std::filesystem::directory_iterator all(std::filesystem::path("/proc/self") / name);
  return std::distance(begin(all), end(all));
}

// Whether this process has no more than `most` threads, now or within ten seconds: one that was
// joined stays in /proc for a moment.
bool threads_fall_to(std::ptrdiff_t most) {
  for (int time = 0; time < 200 && entries("task") > most; ++time) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return entries("task") <= most;
}

// Makes a loader in each of 180 states (workers, depth, order, an error, how far it is read), and
// destroys it there.
void visit_every_state() {
  for (int state = 0; state < 180; ++state) {
    Loader loader(std::make_shared<Slow>(40, 1, state % 5 == 0 ? 17 : -1),
                  {.batch_size = 4,
                   .training = state % 2 == 0,
                   .workers = state % 4,
                   .depth = 1 + state % 3});
    try {
      for (int batch = 0; batch < state % 9; ++batch) loader.next();
    } catch (const Error&) {
    }
  }
}

TEST(Loader, LeavesNothingBehindInAnyState) {
  visit_every_state();  // pools of page-locked memory are full, a sanitizer's own thread runs
  const std::ptrdiff_t threads = entries("task"), files = entries("fd");
  // What malloc keeps for each thread counts as used, and grows to a limit: a leak grows always.
  std::size_t least_growth = SIZE_MAX;
  for (int time = 0; time < 5; ++time) {
    const std::size_t before = mallinfo2().uordblks;
    visit_every_state();
    const std::size_t after = mallinfo2().uordblks;
    least_growth = std::min(least_growth, after - std::min(before, after));
  }
  EXPECT_TRUE(threads_fall_to(threads)) << entries("task") << " threads, not " << threads;
  EXPECT_EQ(entries("fd"), files);
  EXPECT_LT(least_growth, 2048) << "the sanitizers show none, and see leaks";
}

TEST(Loader, SaysHowLongItWaited) {
  Loader loader(std::make_shared<Slow>(64, 1), {.batch_size = 8, .workers = 2});
  rest_of_epoch(loader);
  EXPECT_EQ(loader.stats().batches, 8);
  EXPECT_GE(loader.stats().starved_s, 0);
  EXPECT_GT(loader.stats().blocked_s, 0);
}

TEST(Loader, DecisionsBelongToTheSample) {
  const Augmentation a{.padding = 2, .hflip = 0.5};
  const Epoch e = run(60, {.batch_size = 20, .training = true, .augmentation = a, .seed = 5}, 4);
  for (std::size_t i = 0; i < e.rows.size(); ++i) {
    EXPECT_EQ(e.rows[i], draw_row(a, {.seed = 5, .epoch = 4, .index = e.indices[i]}));
  }
}

TEST(Loader, StartsInTheMiddleOfAnEpoch) {
  const LoaderOptions options{
      .batch_size = 4, .training = true, .augmentation = {.hflip = 0.5}, .seed = 3};
  Loader loader(std::make_shared<Numbered>(23), options);
  loader.start(7);
  const Epoch whole = rest_of_epoch(loader);
  loader.start(0);
  loader.next();
  loader.start(7, 12);
  const Epoch rest = rest_of_epoch(loader);
  EXPECT_EQ(rest.indices, std::vector(whole.indices.begin() + 12, whole.indices.end()));
  EXPECT_EQ(rest.rows, std::vector(whole.rows.begin() + 12, whole.rows.end()));
  EXPECT_THROW(loader.start(0, 3), Error);
  EXPECT_THROW(loader.start(-1), Error);
}

TEST(Loader, TheLowestBadRowIsReported) {
  for (const int threads : {1, 2, 5}) {
    Loader loader(std::make_shared<Numbered>(20, ImageExtent{3, 2, 1}, 6),
                  {.batch_size = 10, .workers = threads});
    testing::expect_data_error([&] { loader.next(); }, {"sample 6 is bad"});
  }
}

TEST(Loader, SkippedSamplesAreReplacedInTraining) {
  const auto set = std::make_shared<Numbered>(20, ImageExtent{3, 2, 1}, 17);  // 17 to 19 are bad
  const auto run_with = [&](int threads) {
    Loader loader(set, {.batch_size = 10,
                        .training = true,
                        .seed = 2,
                        .bad_samples = BadSamples::skip,
                        .workers = threads});
    loader.start(0);
    const Epoch e = rest_of_epoch(loader);
    EXPECT_EQ(loader.skipped().size(), 3U);
    EXPECT_NE(loader.skipped().at(18).find("sample 18 is bad"), std::string::npos);
    return e;
  };
  const Epoch e = run_with(1);
  EXPECT_EQ(std::count(e.indices.begin(), e.indices.end(), 0), 4);  // its own, and three others
  EXPECT_EQ(*std::max_element(e.indices.begin(), e.indices.end()), 16);
  for (std::size_t i = 0; i < 20; ++i) EXPECT_EQ(e.images[6 * i], e.indices[i]);
  for (const int threads : {2, 7}) EXPECT_EQ(run_with(threads), e);
}

TEST(Loader, SkippedSamplesAreLeftOutInEvaluation) {
  Loader loader(std::make_shared<Numbered>(7, ImageExtent{3, 2, 1}, 5),
                {.batch_size = 4, .bad_samples = BadSamples::skip});
  EXPECT_EQ(loader.next()->valid, 4);
  const Batch* b = loader.next();
  EXPECT_EQ(b->valid, 1);
  EXPECT_EQ(std::vector(b->indices.begin(), b->indices.end()),
            (std::vector<std::int64_t>{4, -1, -1, -1}));
  EXPECT_EQ(std::vector(b->labels.begin(), b->labels.end()),
            (std::vector<std::int32_t>{1, kNoLabel, kNoLabel, kNoLabel}));
  EXPECT_EQ(loader.skipped().size(), 2U);
}

TEST(Loader, NothingButBadSamplesIsAnError) {
  Loader loader(std::make_shared<Numbered>(7, ImageExtent{3, 2, 1}, 0),
                {.batch_size = 4, .training = true, .bad_samples = BadSamples::skip});
  testing::expect_data_error([&] { loader.next(); }, {"7 samples in a row", "is bad"});
}

TEST(Loader, ScalesToTheRow) {
  Loader loader(std::make_shared<Numbered>(5, ImageExtent{7, 9, 3}),
                {.batch_size = 5, .row = {4, 4, 3}});
  const Batch* b = loader.next();
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->images.size(), 5U * 48);
  for (std::size_t i = 0; i < b->images.size(); ++i) EXPECT_EQ(b->images[i], i / 48);
}

TEST(Loader, RefusesBadOptions) {
  const auto refused = [](std::int64_t size, ImageExtent extent, const LoaderOptions& options,
                          const std::string& text) {
    expect_error(ErrorKind::usage,
                 [&] { Loader(std::make_shared<Numbered>(size, extent), options); }, {text});
  };
  refused(10, {3, 2, 1}, {.batch_size = 0}, "batch size");
  refused(10, {3, 2, 1}, {.batch_size = 11, .training = true}, "smaller batch size");
  refused(10, {0, 0, 3}, {.batch_size = 1}, "differ in size");
  refused(10, {3, 2, 1}, {.row = {3, 2, 3}}, "1 channels");
  refused(10, {3, 2, 1}, {.row = {-3, 2, 1}}, "at least 1 x 1");
  refused(10, {3, 2, 1}, {.shuffle_window = -1}, "shuffle window");
  refused(10, {3, 2, 1}, {.crop_pct = 0}, "crop_pct");
  refused(10, {3, 2, 1}, {.augmentation = {.padding = -1}}, "padding");
  refused(10, {3, 2, 1}, {.augmentation = {.hflip = 1.5}}, "hflip");
  refused(10, {3, 2, 1}, {.augmentation = {.scale_min = 0}}, "scale");
  refused(10, {3, 2, 1}, {.augmentation = {.ratio_min = 2}}, "ratio");
}

TEST(Loader, EmptySetsHaveNoBatches) {
  Loader loader(std::make_shared<Numbered>(0), {.batch_size = 4});
  EXPECT_EQ(loader.batches_per_epoch(), 0);
  EXPECT_EQ(loader.next(), nullptr);
}

TEST(Sampler, OrdersArePermutationsAndEveryPlaceIsReached) {
  const Sampler sampler({.size = 5, .shuffle = true, .seed = 1});
  std::vector<int> at_first(5);
  for (std::int64_t epoch = 0; epoch < 2000; ++epoch) {
    std::vector<std::int64_t> order;
    for (std::int64_t place = 0; place < 5; ++place) order.push_back(sampler.at(epoch, place));
    ++at_first[static_cast<std::size_t>(order[0])];
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  }
  // 400 each are expected; five standard deviations are 90.
  for (const int count : at_first) EXPECT_NEAR(count, 400, 90);
}

TEST(Sampler, AWindowShufflesWithinItAndVisitsAll) {
  const Sampler sampler({.size = 1000, .shuffle = true, .seed = 1, .window = 64});
  std::vector<std::int64_t> order;
  for (std::int64_t place = 0; place < 1000; ++place) order.push_back(sampler.at(3, place));
  // A window's 64 samples come from 16 stretches of 4 neighbours each; one may be cut in two.
  std::vector<std::int64_t> window(order.begin(), order.begin() + 64);
  std::sort(window.begin(), window.end());
  int neighbours = 0;
  for (std::size_t i = 1; i < 64; ++i) neighbours += window[i] == window[i - 1] + 1;
  EXPECT_GE(neighbours, 47);
  std::sort(order.begin(), order.end());
  for (std::int64_t i = 0; i < 1000; ++i) ASSERT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(MemoryDataset, RefusesWhatDisagrees) {
  const auto made = [](std::size_t pixels, std::int32_t label) {
    return MemoryDataset(
        {{1, 2, 1}, std::vector<std::uint8_t>(pixels), {label}, {"a", "b"}, "m", {}});
  };
  EXPECT_EQ(made(2, 1).get(0).label, 1);
  EXPECT_THROW(made(3, 0), Error);
  EXPECT_THROW(made(2, 2), Error);
  EXPECT_THROW(made(2, -1), Error);
}

}  // namespace
}  // namespace convoy::data
