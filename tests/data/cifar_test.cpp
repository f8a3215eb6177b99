// SPDX-License-Identifier: MIT
#include "data/cifar.h"

#include "data/catalog.h"
#include "tests/data/files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;
using testing::TempFolder;

constexpr std::size_t kPixels = 3072;

// Record i has these labels; pixel p of channel c is (i + 2 p + 50 c) mod 256.
Bytes records(const std::vector<Bytes>& labels) {
  Bytes file;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    file.insert(file.end(), labels[i].begin(), labels[i].end());
    for (std::size_t c = 0; c < 3; ++c) {
      for (std::size_t p = 0; p < kPixels / 3; ++p) {
        file.push_back(static_cast<std::uint8_t>(i + 2 * p + 50 * c));
      }
    }
  }
  return file;
}

MemorySamples parse(const Bytes& file, CifarVariant variant) {
  MemorySamples samples;
  append_cifar(file, "batch.bin", variant, samples);
  return samples;
}

void expect_refused(const Bytes& file, CifarVariant variant,
                    const std::vector<std::string>& parts) {
  expect_data_error([&] { parse(file, variant); }, parts);
}

TEST(Cifar, InterleavesThePlanes) {
  const MemorySamples s = parse(records({{7}, {0}}), CifarVariant::cifar10);
  EXPECT_EQ(s.labels, (std::vector<std::int32_t>{7, 0}));
  ASSERT_EQ(s.pixels.size(), 2 * kPixels);
  for (std::size_t i = 0; i < 2; ++i) {
    for (std::size_t p = 0; p < kPixels / 3; ++p) {
      for (std::size_t c = 0; c < 3; ++c) {
        ASSERT_EQ(s.pixels[i * kPixels + 3 * p + c], (i + 2 * p + 50 * c) % 256);
      }
    }
  }
  ASSERT_EQ(s.warnings.size(), 1U);
  EXPECT_NE(s.warnings[0].find("expected 10000 records, found 2"), std::string::npos);
}

TEST(Cifar, TakesTheFineLabelOfAHundred) {
  const MemorySamples s = parse(records({{19, 99}, {3, 42}}), CifarVariant::cifar100);
  EXPECT_EQ(s.labels, (std::vector<std::int32_t>{99, 42}));
  EXPECT_EQ(s.pixels[kPixels], 1);
}

TEST(Cifar, TellsTheVariantBySize) {
  EXPECT_EQ(parse(records({{7}}), CifarVariant::automatic).labels[0], 7);
  EXPECT_EQ(parse(records({{7, 77}}), CifarVariant::automatic).labels[0], 77);
  expect_refused(Bytes(5000), CifarVariant::automatic, {"3073", "3074", "5000"});
}

TEST(Cifar, AmbiguousSizesNeedTheVariant) {
  const Bytes both(std::size_t{3073} * 3074);
  expect_refused(both, CifarVariant::automatic, {"both", "say which"});
  EXPECT_EQ(parse(both, CifarVariant::cifar10).labels.size(), 3074U);
  EXPECT_EQ(parse(both, CifarVariant::cifar100).labels.size(), 3073U);
}

TEST(Cifar, RefusesBadSizes) {
  for (const auto variant :
       {CifarVariant::automatic, CifarVariant::cifar10, CifarVariant::cifar100}) {
    expect_refused({}, variant, {"empty"});
  }
  Bytes file = records({{1}, {2}});
  file.push_back(0);
  expect_refused(file, CifarVariant::cifar10, {"multiple of 3073", "6147", "1 too many"});
  expect_refused(Bytes(100), CifarVariant::cifar100, {"multiple of 3074", "100 too many"});
  expect_refused(records({{1, 2}}), CifarVariant::cifar10, {"whole records of CIFAR-100"});
  expect_refused(records({{1}}), CifarVariant::cifar100, {"whole records of CIFAR-10"});
}

TEST(Cifar, RefusesBadLabels) {
  expect_refused(records({{9}, {10}}), CifarVariant::cifar10,
                 {"batch.bin", "byte 3073", "0 to 9", "found 10"});
  expect_refused(records({{19, 99}, {20, 0}}), CifarVariant::cifar100,
                 {"coarse", "byte 3074", "0 to 19", "found 20"});
  expect_refused(records({{19, 100}}), CifarVariant::cifar100,
                 {"fine", "byte 1", "0 to 99", "found 100"});
}

TEST(Cifar, RecognisesThePythonVersion) {
  Bytes pickle = records({{1}});
  pickle[0] = 0x80;
  pickle[1] = 0x02;
  expect_refused(pickle, CifarVariant::cifar10, {"pickle", "binary"});
}

class CifarFolder : public ::testing::Test {
 protected:
  auto open(const std::string& split, CifarVariant variant = CifarVariant::cifar10) {
    return open_cifar(folder_.path(), variant, split);
  }
  void expect_open_refused(const std::string& split, const std::vector<std::string>& parts) {
    expect_data_error([&] { open(split); }, parts);
  }
  TempFolder folder_;
};

TEST_F(CifarFolder, ReadsTheBatchesThatAreThereInOrder) {
  folder_.write("data_batch_10.bin", records({{8}}));
  folder_.write("data_batch_2.bin", records({{2}, {3}}));
  folder_.write("data_batch_4.bin", records({{4}}));
  folder_.write("data_batch_x.bin", records({{5}}));
  folder_.write("test_batch.bin", records({{6}}));
  const auto set = open("train");
  ASSERT_EQ(set->size(), 4);
  for (std::int64_t i = 0; i < 4; ++i) EXPECT_EQ(set->label(i), (std::vector{2, 3, 4, 8}[i]));
  EXPECT_EQ(set->extent(), (ImageExtent{32, 32, 3}));
  ASSERT_EQ(set->warnings().size(), 4U);  // batches, and three unusual counts
  EXPECT_NE(set->warnings()[0].find("3 of 5"), std::string::npos);
  EXPECT_NE(set->warnings()[0].find("data_batch_2.bin, data_batch_4.bin, data_batch_10.bin"),
            std::string::npos);
  EXPECT_EQ(open("test")->size(), 1);
  EXPECT_EQ(open("test")->class_names()[3], "cat");
}

TEST_F(CifarFolder, SaysWhatIsMissing) {
  expect_open_refused("train", {"data_batch_1.bin to data_batch_5.bin", "none"});
  expect_open_refused("test", {"test_batch.bin", "cannot be opened"});
  folder_.write("data_batch_1", Bytes{0x80, 2});
  expect_open_refused("train", {"Python version"});
  expect_data_error([&] { open_cifar(folder_.path() / "no", CifarVariant::cifar10, "train"); },
                    {"/no", "expected a directory"});
}

TEST_F(CifarFolder, RefusesTheTestFileAsTrainingData) {
  folder_.write("data_batch_1.bin", records({{1}}));
  folder_.write("data_batch_2.bin", records({{2}}));
  folder_.write("test_batch.bin", records({{2}}));
  expect_open_refused("train", {"data_batch_2.bin", "test_batch.bin", "the same bytes"});
}

TEST_F(CifarFolder, ReadsClassNames) {
  folder_.write("test_batch.bin", records({{1}}));
  folder_.write("batches.meta.txt", Bytes{'a', '\n', 'b', '\r', '\n', '\n'});
  expect_open_refused("test", {"batches.meta.txt", "10 class names", "found 2"});
  const std::string names = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj";
  folder_.write("batches.meta.txt", Bytes(names.begin(), names.end()));
  EXPECT_EQ(open("test")->class_names()[9], "j");
}

TEST_F(CifarFolder, ReadsAHundredClasses) {
  folder_.write("train.bin", records({{1, 98}}));
  folder_.write("test.bin", records({{2, 99}}));
  EXPECT_EQ(open("train", CifarVariant::cifar100)->label(0), 98);
  const auto test = open_dataset("cifar100", folder_.path(), "val");
  EXPECT_EQ(test->label(0), 99);
  EXPECT_EQ(test->num_classes(), 100);
  EXPECT_EQ(guess_dataset(folder_.path()), "cifar100");
}

// Labels and pixels read from the file's bytes by other means.
TEST(CifarData, ReadsCifar10) {
  const auto folder = testing::shared_data("cifar10");
  SKIP_WITHOUT(folder, "cifar10");
  EXPECT_EQ(guess_dataset(folder), "cifar10");
  const auto test = open_dataset("cifar10", folder, "test");
  ASSERT_EQ(test->size(), 10000);
  const std::vector<std::int32_t> first{3, 8, 8, 0, 6, 6, 1, 6, 3, 1};
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(test->label(static_cast<std::int64_t>(i)), first[i]);
  }
  const Image image = test->get(0).image, last = test->get(9999).image;
  EXPECT_EQ((std::vector{image.at(5, 7, 0), image.at(5, 7, 1), image.at(5, 7, 2)}),
            (Bytes{167, 115, 41}));
  EXPECT_EQ((std::vector{last.at(31, 31, 0), last.at(31, 31, 1), last.at(31, 31, 2)}),
            (Bytes{27, 26, 26}));
  EXPECT_EQ(test->label(9999), 7);
  EXPECT_EQ(test->class_names()[9], "truck");
  EXPECT_TRUE(test->warnings().empty());
  const auto train = open_dataset("cifar10", folder, "train");
  EXPECT_EQ(train->size() % 10000, 0);
  EXPECT_EQ(train->warnings().empty(), train->size() == 50000);
}

TEST(Catalog, KnowsItsDataSets) {
  EXPECT_EQ(dataset_preset("fashion-mnist").name, "fashion_mnist");
  EXPECT_EQ(dataset_preset("mnist").hflip, 0);
  EXPECT_EQ(dataset_preset("mnist").padding, 0);
  EXPECT_EQ(dataset_preset("cifar10").padding, 4);
  EXPECT_FALSE(may_be_mirrored(digit_names()));
  EXPECT_TRUE(may_be_mirrored(cifar10_names()));
  for (const std::string& name : dataset_names()) {
    const DatasetPreset& preset = dataset_preset(name);
    EXPECT_EQ(preset.mean.size(), preset.std.size());
  }
  testing::expect_error(ErrorKind::usage, [] { dataset_preset("cifra"); }, {"cifar10", "cifra"});
  testing::expect_error(ErrorKind::usage, [] { open_dataset("mnist", ".", "dev"); }, {"dev"});
}

}  // namespace
}  // namespace convoy::data
