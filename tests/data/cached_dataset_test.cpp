// SPDX-License-Identifier: MIT
#include "data/cached_dataset.h"

#include <thread>

#include "tests/data/pack_files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_error;
using testing::TempFolder;

// Counts how often a sample is read.
class Counted : public Dataset {
 public:
  explicit Counted(std::shared_ptr<const Dataset> source)
      : source_(std::move(source)), reads_(static_cast<std::size_t>(source_->size())) {}
  std::int64_t size() const override { return source_->size(); }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }
  ImageExtent extent() const override { return source_->extent(); }
  std::int32_t label(std::int64_t index) const override { return source_->label(index); }
  void sample_name(std::int64_t index, std::string& out) const override {
    source_->sample_name(index, out);
  }
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
    ++reads_[static_cast<std::size_t>(index)];
    return source_->stored(index, scratch);
  }
  int reads() const {
    int sum = 0;
    for (const auto& n : reads_) sum += n;
    return sum;
  }

 private:
  std::shared_ptr<const Dataset> source_;
  mutable std::vector<std::atomic<int>> reads_;
};

class Cache : public ::testing::Test {
 protected:
  Cache()
      : files_(testing::jpeg_folder(folder_, 12)), counted_(std::make_shared<Counted>(files_)) {}
  CachedDataset make(CacheKind kind, std::uint64_t budget) { return {counted_, kind, budget}; }
  void expect_same(const Dataset& set) {
    for (std::int64_t i = 0; i < 12; ++i) {
      const Sample sample = set.get(i);
      EXPECT_EQ(sample.image.pixels, files_->get(i).image.pixels);
      EXPECT_EQ(sample.image.extent, files_->get(i).image.extent);
      EXPECT_EQ(sample.label, files_->label(i));
    }
  }

  TempFolder folder_;
  std::shared_ptr<const Dataset> files_;
  std::shared_ptr<Counted> counted_;
};

TEST_F(Cache, ReadsEachFileOnce) {
  for (const CacheKind kind : {CacheKind::ram, CacheKind::decoded}) {
    const CachedDataset cached = make(kind, 1 << 20);
    const int before = counted_->reads();
    for (int round = 0; round < 3; ++round) expect_same(cached);
    EXPECT_EQ(counted_->reads() - before, 12);
    EXPECT_EQ(cached.stats().samples, 12);
    Bytes scratch;
    EXPECT_EQ(cached.stored(3, scratch).is_file(), kind == CacheKind::ram);
    EXPECT_TRUE(scratch.empty());
    EXPECT_EQ(cached.sample_name(3), files_->sample_name(3));
  }
}

TEST_F(Cache, OfNothingReadsEachTime) {
  const CachedDataset cached = make(CacheKind::none, 1 << 20);
  for (int round = 0; round < 2; ++round) expect_same(cached);
  EXPECT_EQ(counted_->reads(), 24);
  EXPECT_EQ(cached.stats().bytes, 0u);
}

// What is delivered does not depend on what fits.
TEST_F(Cache, KeepsToItsBudget) {
  Bytes scratch;
  for (const CacheKind kind : {CacheKind::ram, CacheKind::decoded}) {
    for (const std::uint64_t budget : {0, 1, 900, 2000, 5000}) {
      const CachedDataset cached = make(kind, budget);
      const int before = counted_->reads();
      for (int round = 0; round < 3; ++round) expect_same(cached);
      const CacheStats stats = cached.stats();
      EXPECT_LE(stats.bytes, budget);
      EXPECT_EQ(counted_->reads() - before, 12 + 2 * (12 - stats.samples));
      EXPECT_EQ(stats.samples > 0, budget >= 900);
      EXPECT_LT(stats.samples, 12);
      for (std::int64_t i = 0; i < 12; ++i) {
        EXPECT_EQ(cached.stored(i, scratch).is_file(), kind == CacheKind::ram);
      }
    }
  }
}

TEST_F(Cache, IsFilledByManyThreads) {
  for (const std::uint64_t budget : {1 << 20, 3000}) {
    for (int round = 0; round < 20; ++round) {
      const CachedDataset cached = make(CacheKind::ram, budget);
      {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
          threads.emplace_back([&] {
            Bytes scratch;
            for (int i = 0; i < 36; ++i) {
              const Stored stored = cached.stored(i % 12, scratch);
              EXPECT_EQ(stored.bytes[0], 0xff);
              EXPECT_EQ(stored.bytes.back(), 0xd9);
            }
          });
        }
      }
      expect_same(cached);
      EXPECT_LE(cached.stats().bytes, budget);
      EXPECT_EQ(cached.stats().samples == 12, budget == 1 << 20);
    }
  }
}

TEST_F(Cache, DoesNotCopyWhatIsInMemory) {
  const auto memory = std::make_shared<MemoryDataset>(
      MemorySamples{{1, 2, 1}, {1, 2, 3, 4}, {0, 0}, {"a"}, "memory", {"note"}});
  const CachedDataset cached(memory, CacheKind::decoded, 1 << 20);
  EXPECT_EQ(cached.get(1).image.pixels, (Bytes{3, 4}));
  EXPECT_EQ(cached.stats().samples, 0);
  EXPECT_EQ(cached.warnings(), memory->warnings());
}

TEST_F(Cache, KeepsNoSampleThatIsBad) {
  folder_.write("set/cat/000.jpg", Bytes{'x'});
  const CachedDataset cached = make(CacheKind::decoded, 1 << 20);
  for (int again = 0; again < 2; ++again) {
    testing::expect_data_error([&] { cached.get(0); }, {"cat/000.jpg"});
  }
  EXPECT_NO_THROW(cached.get(1));
  EXPECT_THROW(cached.get(12), Error);
  EXPECT_THROW(cached.get(-1), Error);
}

TEST(CacheFlags, AreRead) {
  EXPECT_EQ(cache_kind("decoded"), CacheKind::decoded);
  expect_error(ErrorKind::usage, [] { cache_kind("disk"); }, {"none, ram or decoded", "'disk'"});
  EXPECT_EQ(parse_bytes("0"), 0u);
  EXPECT_EQ(parse_bytes("1234"), 1234u);
  EXPECT_EQ(parse_bytes("3K"), 3072u);
  EXPECT_EQ(parse_bytes("4G"), 4ull << 30);
  EXPECT_EQ(parse_bytes("2T"), 2ull << 40);
  for (const char* bad :
       {"", "G", "-1", "1.5G", "4GB", "4g", "16777216T", "99999999999999999999"}) {
    expect_error(ErrorKind::usage, [&] { parse_bytes(bad); }, {"512M or 4G", bad});
  }
}

}  // namespace
}  // namespace convoy::data
