// SPDX-License-Identifier: MIT
#include "data/idx.h"

#include "data/catalog.h"
#include "tests/data/files.h"

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::expect_data_error;
using testing::gzipped;
using testing::TempFolder;

void push_be32(Bytes& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(value >> shift));
}

Bytes idx(std::uint8_t type, const std::vector<std::uint32_t>& dims, std::size_t values) {
  Bytes out{0, 0, type, static_cast<std::uint8_t>(dims.size())};
  for (const std::uint32_t d : dims) push_be32(out, d);
  for (std::size_t i = 0; i < values; ++i) out.push_back(static_cast<std::uint8_t>(i * 7));
  return out;
}

void expect_refused(const Bytes& file, const std::vector<std::string>& parts) {
  expect_data_error([&] { parse_idx(file, "some.idx"); }, parts);
}

TEST(Idx, ReadsEveryTypePlainAndGzipped) {
  const std::vector<std::pair<std::uint8_t, std::size_t>> types = {{0x08, 1}, {0x09, 1}, {0x0b, 2},
                                                                   {0x0c, 4}, {0x0d, 4}, {0x0e, 8}};
  for (const auto& [type, size] : types) {
    const Bytes file = idx(type, {3, 2, 5}, 30 * size);
    for (const Bytes& form : {file, gzipped(file)}) {
      const IdxArray array = parse_idx(form, "some.idx");
      EXPECT_EQ(array.type, type);
      EXPECT_EQ(array.dims, (std::vector<std::int64_t>{3, 2, 5}));
      EXPECT_EQ(array.bytes, Bytes(file.begin() + 16, file.end()));
    }
  }
}

TEST(Idx, ReadsMoreThanOneStepOfAGzippedFile) {
  const Bytes file = idx(0x08, {70, 1 << 20}, std::size_t{70} << 20);
  const IdxArray array = parse_idx(gzipped(file), "some.idx");
  EXPECT_TRUE(std::equal(array.bytes.begin(), array.bytes.end(), file.begin() + 12, file.end()));
}

TEST(Idx, RefusesABadMagicNumber) {
  expect_refused({}, {"some.idx", "the magic number", "4 bytes"});
  expect_refused({0, 0, 8}, {"the magic number", "has 3"});
  expect_refused({1, 0, 8, 1, 0, 0, 0, 1, 5}, {"byte 0", "01 00"});
  expect_refused({0, 1, 8, 1, 0, 0, 0, 1, 5}, {"byte 0", "00 01"});
  for (const int type : {0x00, 0x07, 0x0a, 0x0f, 0xff}) {
    expect_refused({0, 0, static_cast<std::uint8_t>(type), 1, 0, 0, 0, 1, 5}, {"byte 2", "type"});
  }
}

TEST(Idx, ExplainsSwappedBytes) {
  expect_refused({1, 8, 0, 0, 1, 0, 0, 0, 5}, {"swapped"});
  expect_refused({3, 8, 0, 0, 1, 0, 0, 0, 5}, {"swapped"});
}

TEST(Idx, RefusesBadDimensions) {
  expect_refused({0, 0, 8, 0}, {"byte 3", "1 to 4", "found 0"});
  expect_refused(idx(8, {1, 1, 1, 1, 1}, 1), {"byte 3", "found 5"});
  Bytes many{0, 0, 8, 255};
  for (int i = 0; i < 255; ++i) push_be32(many, 0xffffffff);
  expect_refused(many, {"byte 3", "found 255"});
  expect_refused(idx(8, {2, 0, 2}, 0), {"dimension 1 at byte 8 is 0"});
  expect_refused(idx(0x0e, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 1), {"overflows"});
  expect_refused({0, 0, 8, 3, 0, 0, 0, 1}, {"a dimension", "at byte 8", "has 0"});
}

TEST(Idx, RefusesASizeOtherThanStated) {
  expect_refused(idx(8, {2, 3}, 5), {"12 bytes states 6", "has 5"});
  expect_refused(idx(8, {2, 3}, 7), {"states 6", "has 7"});
  expect_refused(idx(0x0c, {2, 3}, 6), {"states 24", "has 6"});
  expect_refused(idx(8, {0x7fffffff, 0x7fffffff}, 6), {"states 4611686014132420609"});
}

TEST(Idx, RefusesDamagedGzip) {
  const Bytes file = idx(8, {100, 10}, 1000), packed = gzipped(file);
  for (std::size_t cut = 2; cut < packed.size(); ++cut) {
    expect_refused(Bytes(packed.begin(), packed.begin() + static_cast<std::ptrdiff_t>(cut)),
                   {"truncated"});
  }
  Bytes wrong = packed;
  wrong[wrong.size() - 6] ^= 1;  // in the CRC
  expect_refused(wrong, {"damaged", "incorrect data check"});
  wrong = packed;
  wrong[wrong.size() - 1] ^= 1;  // in the length
  expect_refused(wrong, {"damaged", "incorrect length check"});
  wrong = packed;
  wrong.push_back(0);
  expect_refused(wrong, {"1 bytes follow"});
}

TEST(Idx, RefusesGzipThatHoldsMoreOrLess) {
  expect_refused(gzipped(idx(8, {2, 3}, 7)), {"beyond"});
  expect_refused(gzipped(idx(8, {2, 3}, 5)), {"the values expects 6", "has 5"});
  // A bomb: much more than the header states, and a header that states much more than there is.
  expect_refused(gzipped(idx(8, {2, 3}, 50'000'000)), {"beyond"});
  expect_refused(gzipped(idx(8, {60000, 60000}, 10)), {"states 3600000000", "holds at most"});
}

TEST(Idx, EveryChangedByteIsRefusedOrHarmless) {
  const Bytes file = idx(8, {4, 5}, 20), packed = gzipped(file);
  for (const Bytes& form : {file, packed}) {
    for (std::size_t at = 0; at < form.size(); ++at) {
      for (const int flip : {1, 0x80, 0xff}) {
        Bytes changed = form;
        changed[at] ^= static_cast<std::uint8_t>(flip);
        try {
          EXPECT_EQ(parse_idx(changed, "some.idx").bytes.size(), 20U);
        } catch (const Error& error) {
          EXPECT_EQ(error.kind(), ErrorKind::data);
        }
      }
    }
  }
}

class IdxPair : public ::testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const Bytes& images, const Bytes& labels) {
    return open_idx(folder_.write("images", images), folder_.write("labels", labels),
                    digit_names());
  }
  TempFolder folder_;
};

TEST_F(IdxPair, GivesSamples) {
  const Bytes images = idx(8, {3, 2, 4}, 24);
  const auto set = open(images, {0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4});
  EXPECT_EQ(set->size(), 3);
  EXPECT_EQ(set->num_classes(), 10);
  EXPECT_EQ(set->extent(), (ImageExtent{2, 4, 1}));
  EXPECT_EQ(set->label(0), 9);
  const Sample last = set->get(2);
  EXPECT_EQ(last.label, 4);
  EXPECT_EQ(last.image.pixels, Bytes(images.end() - 8, images.end()));
  EXPECT_NE(set->sample_name(2).find("images[2]"), std::string::npos);
  Bytes scratch;
  const Stored stored = set->stored(2, scratch);
  EXPECT_EQ(Bytes(stored.bytes.begin(), stored.bytes.end()), last.image.pixels);
  EXPECT_EQ(stored.extent, set->extent());
  EXPECT_TRUE(scratch.empty()) << "it is in memory already";
  EXPECT_THROW(set->stored(3, scratch), Error);
  EXPECT_THROW(set->get(3), Error);
  EXPECT_THROW(set->get(-1), Error);
}

TEST_F(IdxPair, RefusesWhatDoesNotFit) {
  const Bytes images = idx(8, {3, 2, 4}, 24), labels{0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4};
  expect_data_error([&] { open(images, idx(8, {2}, 2)); }, {"3 images", "2 labels"});
  expect_data_error(
      [&] {
        open(images, {0, 0, 8, 1, 0, 0, 0, 3, 9, 10, 4});
      },
      {"labels", "label 1 at byte 9", "0 to 9", "found 10"});
  expect_data_error([&] { open(idx(0x0b, {3, 2, 4}, 48), labels); }, {"images", "type 08", "0b"});
  expect_data_error([&] { open(idx(8, {3, 8}, 24), labels); }, {"3 dimensions", "found 2"});
  expect_data_error([&] { open(labels, images); }, {"images expect 3 dimensions", "found 1"});
  expect_data_error([&] { open(images, images); }, {"labels expect 1 dimension", "found 3"});
  expect_data_error([&] { open(images, idx(0x09, {3}, 3)); }, {"labels expect type 08"});
}

TEST_F(IdxPair, FindsMnistsFilesOrSaysWhatIsMissing) {
  expect_data_error([&] { open_mnist(folder_.path() / "none", "train", digit_names()); },
                    {"none", "expected a directory"});
  expect_data_error([&] { open_mnist(folder_.path(), "train", digit_names()); },
                    {"train-images-idx3-ubyte", "neither"});
  folder_.write("t10k-images-idx3-ubyte.gz", gzipped(idx(8, {2, 3, 3}, 18)));
  folder_.write("t10k-labels-idx1-ubyte", idx(8, {2}, 2));
  EXPECT_EQ(open_mnist(folder_.path(), "test", digit_names())->size(), 2);
}

// Counts, sums and pixels that were computed from the published files by other means.
TEST(IdxData, ReadsMnist) {
  const auto folder = testing::shared_data("mnist");
  SKIP_WITHOUT(folder, "mnist");
  const auto train = open_dataset("mnist", folder, "train");
  const auto test = open_dataset("mnist", folder, "test");
  EXPECT_EQ(train->size(), 60000);
  EXPECT_EQ(test->size(), 10000);
  EXPECT_EQ(train->extent(), (ImageExtent{28, 28, 1}));
  const std::vector<std::int32_t> first_train{5, 0, 4, 1, 9, 2, 1, 3, 1, 4};
  const std::vector<std::int32_t> first_test{7, 2, 1, 0, 4, 1, 4, 9, 5, 9};
  for (std::int64_t i = 0; i < 10; ++i) {
    EXPECT_EQ(train->label(i), first_train[static_cast<std::size_t>(i)]);
    EXPECT_EQ(test->label(i), first_test[static_cast<std::size_t>(i)]);
  }
  // The mean of all training pixels is the published 0.1307.
  double sum = 0;
  for (std::int64_t i = 0; i < train->size(); ++i) {
    for (const std::uint8_t p : train->get(i).image.pixels) sum += p;
  }
  EXPECT_NEAR(sum / (60000.0 * 784 * 255), 0.1307, 5e-5);
}

}  // namespace
}  // namespace convoy::data
