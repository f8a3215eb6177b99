// SPDX-License-Identifier: MIT
// Sets of which a part is damaged, in every way, under every policy: what cannot be read is named
// and counted, once, and the order does not depend on the workers.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>

#include "data/image_folder.h"
#include "tests/data/files.h"
#include "tests/data/numbered.h"

namespace convoy::data {
namespace {

using testing::Epoch;
using testing::rest_of_epoch;

constexpr std::int64_t kSamples = 1000;
using Bytes = std::vector<std::uint8_t>;

struct Kind {
  const char* name;
  Bytes (*damage)(Bytes file);
};
const Kind kKinds[] = {
    {"cut off", [](Bytes file) { return file.resize(file.size() * 2 / 3), file; }},
    {"without its end", [](Bytes file) { return file.resize(file.size() - 2), file; }},
    {"a bit of the header", [](Bytes file) { return file[3] ^= 0x10, file; }},
    {"a block of zeros", [](Bytes file) { return std::fill_n(file.begin(), 64, 0), file; }},
    {"text",
     [](Bytes) {
       return Bytes{'h', 'e', 'l', 'l', 'o'};
     }},
    {"empty", [](Bytes) { return Bytes{}; }},
};

// JPEG files, each of its own grey; those at `damaged` are not as they were.
class Files : public Dataset {
 public:
  Files(const std::set<std::int64_t>& damaged, const Kind& kind) {
    for (std::int64_t i = 0; i < kSamples; ++i) {
      Image image({12, 12, 3});
      std::ranges::fill(image.pixels, static_cast<std::uint8_t>(i % 251));
      Bytes file = encode_jpeg(image, 90);
      files_.push_back(damaged.contains(i) ? kind.damage(file) : file);
    }
  }
  std::int64_t size() const override { return kSamples; }
  const std::vector<std::string>& class_names() const override { return names_; }
  ImageExtent extent() const override { return {0, 0, 3}; }
  Stored stored(std::int64_t index, std::vector<std::uint8_t>&) const override {
    return {files_[static_cast<std::size_t>(index)]};
  }
  std::int32_t label(std::int64_t) const override { return 0; }
  void sample_name(std::int64_t index, std::string& out) const override {
    out = fmt::format("{}.jpg", index);
  }
  bool decodes() const override { return true; }

 private:
  std::vector<Bytes> files_;
  std::vector<std::string> names_{"a"};
};

// Spread over the set, in no order of the loader's.
std::set<std::int64_t> spread(std::int64_t count) {
  std::set<std::int64_t> places;
  for (std::int64_t i = 0; i < count; ++i) places.insert(i * 389 % kSamples);
  return places;
}

LoaderOptions options_for(bool training, BadSamples policy, int workers) {
  return {.batch_size = 50,
          .row = {8, 8, 3},
          .training = training,
          .seed = 3,
          .bad_samples = policy,
          .workers = workers};
}

std::set<std::int64_t> skipped_of(const Loader& loader) {
  std::set<std::int64_t> indices;
  for (const auto& [index, why] : loader.skipped()) {
    EXPECT_EQ(why.find(fmt::format("{}.jpg: ", index)), 0U) << why;
    indices.insert(index);
  }
  return indices;
}

class LoaderDamages : public ::testing::TestWithParam<std::int64_t> {};

TEST_P(LoaderDamages, IsSkippedCountedAndNamed) {
  const std::set<std::int64_t> damaged = spread(GetParam());
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name);
    const auto files = std::make_shared<Files>(damaged, kind);
    for (const bool training : {true, false}) {
      std::optional<Epoch> expected;
      for (const int workers : {0, 4}) {
        Loader loader(files, options_for(training, BadSamples::skip, workers));
        const Epoch epoch = rest_of_epoch(loader);
        EXPECT_TRUE(skipped_of(loader) == damaged);
        const auto holes = std::ranges::count(epoch.labels, kNoLabel);
        EXPECT_EQ(holes, training ? 0 : GetParam());
        for (const std::int64_t index : epoch.indices) ASSERT_FALSE(damaged.contains(index));
        if (!expected) expected = epoch;
        EXPECT_TRUE(epoch == *expected) << workers << " workers";
      }
    }
  }
}

TEST_P(LoaderDamages, IsAnErrorAtTheFirstInOrder) {
  const std::set<std::int64_t> damaged = spread(GetParam());
  for (const Kind& kind : kKinds) {
    const auto files = std::make_shared<Files>(damaged, kind);
    for (const int workers : {0, 4}) {
      Loader loader(files, options_for(false, BadSamples::error, workers));
      if (damaged.empty()) {
        EXPECT_EQ(rest_of_epoch(loader).labels.size(), static_cast<std::size_t>(kSamples));
      } else {
        testing::expect_data_error([&] { rest_of_epoch(loader); },
                                   {fmt::format("{}.jpg: ", *damaged.begin())});
      }
    }
  }
}

// In thousandths: 0, 0.1, 1, 10, 50 per cent.
INSTANTIATE_TEST_SUITE_P(Of1000, LoaderDamages, ::testing::Values(0, 1, 10, 100, 500));

TEST(LoaderDamage, OfAllIsOneClearErrorInTraining) {
  const auto files = std::make_shared<Files>(spread(kSamples), kKinds[0]);
  for (const int workers : {0, 4}) {
    Loader training(files, options_for(true, BadSamples::skip, workers));
    testing::expect_data_error([&] { training.next(); }, {"100 samples in a row", ".jpg: "});
    Loader evaluation(files, options_for(false, BadSamples::skip, workers));
    EXPECT_EQ(std::ranges::count(rest_of_epoch(evaluation).labels, kNoLabel), kSamples);
    EXPECT_EQ(evaluation.skipped().size(), static_cast<std::size_t>(kSamples));
  }
}

// What happens to files after the folder was listed.
TEST(LoaderDamage, OfFilesThatChangeUnderneathIsSkippedAndNamed) {
  namespace fs = std::filesystem;
  const testing::TempFolder folder;
  const fs::path root = folder.path() / "a";
  const Image image({12, 12, 3});
  for (int i = 0; i < 20; ++i) folder.write(fmt::format("a/{:02}.jpg", i), encode_jpeg(image, 90));
  const std::shared_ptr<const Dataset> files = open_image_folder(folder.path(), "");
  std::set<std::int64_t> bad{3, 7, 11};
  fs::remove(root / "03.jpg");
  fs::remove(root / "07.jpg");
  fs::create_directory(root / "07.jpg");
  fs::remove(root / "11.jpg");
  ASSERT_EQ(::mkfifo((root / "11.jpg").c_str(), 0600), 0);
  if (::geteuid() != 0) {  // who may read everything
    fs::permissions(root / "15.jpg", fs::perms::none);
    bad.insert(15);
  }
  for (const int workers : {0, 3}) {
    Loader loader(files, {.batch_size = 5,
                          .row = {8, 8, 3},
                          .training = true,
                          .bad_samples = BadSamples::skip,
                          .workers = workers});
    rest_of_epoch(loader);
    std::set<std::int64_t> skipped;
    for (const auto& [index, why] : loader.skipped()) {
      EXPECT_NE(why.find(fmt::format("{:02}.jpg", index)), std::string::npos) << why;
      skipped.insert(index);
    }
    EXPECT_TRUE(skipped == bad);
  }
}

}  // namespace
}  // namespace convoy::data
