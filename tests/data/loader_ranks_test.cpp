// SPDX-License-Identifier: MIT
// Ranks: each gets its rows of the batches that one rank would.
#include <algorithm>

#include "tests/data/files.h"
#include "tests/data/numbered.h"

namespace convoy::data {
namespace {

using testing::Epoch;
using testing::Numbered;

struct Ranked {
  std::vector<Epoch> batches;  // all ranks' rows together
  std::int64_t valid = 0;
};

void append(Epoch& all, const Batch& b) {
  all.indices.insert(all.indices.end(), b.indices.begin(), b.indices.end());
  all.images.insert(all.images.end(), b.images.begin(), b.images.end());
  all.labels.insert(all.labels.end(), b.labels.begin(), b.labels.end());
  all.rows.insert(all.rows.end(), b.row.begin(), b.row.end());
}

// What `world` ranks are given from a position on, joined in rank order.
Ranked joined(LoaderOptions options, int world, std::int64_t epoch, std::int64_t position) {
  Ranked result;
  for (int rank = 0; rank < world; ++rank) {
    options.rank = rank, options.world = world, options.workers = rank % 3;
    Loader loader(std::make_shared<Numbered>(59), options);
    loader.start(epoch, position);
    std::size_t batch = 0;
    while (const Batch* b = loader.next()) {
      if (result.batches.size() <= batch) result.batches.emplace_back();
      append(result.batches[batch++], *b);
      result.valid += b->valid;
    }
    EXPECT_EQ(batch, result.batches.size()) << "every rank has as many batches";
  }
  return result;
}

TEST(LoaderRanks, TrainOnTheBatchesOfOne) {
  const LoaderOptions options{
      .batch_size = 12, .training = true, .augmentation = {.padding = 2, .hflip = 0.5}, .seed = 3};
  const Ranked whole = joined(options, 1, 4, 0);
  ASSERT_EQ(whole.batches.size(), 4U);
  for (const int world : {2, 3, 4, 5, 12}) {
    EXPECT_EQ(joined(options, world, 4, 0).batches, whole.batches) << world << " ranks";
  }
}

TEST(LoaderRanks, GoOnInTheMiddleOfAnEpochInAnotherNumber) {
  const LoaderOptions options{.batch_size = 12, .training = true, .seed = 3};
  const Ranked whole = joined(options, 3, 2, 0);
  for (const int world : {1, 2, 4}) {
    const Ranked rest = joined(options, world, 2, 24);
    ASSERT_EQ(rest.batches.size(), 2U);
    EXPECT_TRUE(std::equal(rest.batches.begin(), rest.batches.end(), whole.batches.begin() + 2));
  }
}

TEST(LoaderRanks, EvaluationCountsEachSampleOnce) {
  for (const int world : {1, 2, 3, 7}) {
    const Ranked all = joined({.batch_size = 8}, world, 0, 0);
    EXPECT_EQ(all.valid, 59) << world << " ranks";
    std::vector<std::int64_t> seen;
    for (const Epoch& batch : all.batches) {
      std::copy_if(batch.indices.begin(), batch.indices.end(), std::back_inserter(seen),
                   [](std::int64_t index) { return index >= 0; });
    }
    std::sort(seen.begin(), seen.end());
    for (std::int64_t i = 0; i < 59; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
  }
}

TEST(LoaderRanks, NeedARowEach) {
  const auto refused = [](int rank, int world, const std::string& text) {
    testing::expect_error(ErrorKind::usage,
                          [&] {
                            Loader(std::make_shared<Numbered>(59),
                                   {.batch_size = 4, .rank = rank, .world = world});
                          },
                          {text});
  };
  refused(0, 5, "use larger ones");
  refused(2, 2, "rank of 0 to 1, found 2");
  refused(-1, 2, "rank of 0 to 1, found -1");
}

}  // namespace
}  // namespace convoy::data
