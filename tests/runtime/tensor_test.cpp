// SPDX-License-Identifier: MIT
#include "runtime/tensor.h"

#include <gtest/gtest.h>

#include "runtime/autograd.h"
#include "runtime/ops/view.h"
#include "tests/support/errors.h"

namespace convoy {
namespace {

using testing::error_of;
using testing::expect_says;

TEST(Tensor, GoesToTheDeviceAndBack) {
  const std::vector<float> values{1, 2, 3, 4, 5, 6};
  const Tensor t = from_vector(values, {2, 3});
  EXPECT_EQ(to_vector<float>(t), values);
  EXPECT_EQ(t.size(-1), 3);
  EXPECT_EQ(t.count(), 6);
}

TEST(Tensor, WrongUseIsAnErrorThatSaysWhatWasExpected) {
  const Tensor t = zeros({2, 3});
  EXPECT_EQ(error_of([&] { t.as<double>(); }).find("tensor: dtype expects f64, found f32"), 0u);
  EXPECT_EQ(error_of([] {
              from_vector<float>({1, 2}, {3});
            }).find("tensor: shape [3] expects 3 values, found 2"),
            0u);
  EXPECT_EQ(error_of([&] { t.item(); }).find("item: expects one element, found shape [2, 3]"), 0u);
  EXPECT_NE(error_of([] { empty({2, -1}); }), "");
  expect_says(error_of([] { empty({1LL << 40, 1LL << 40}); }), "2^63 bytes");
  expect_says(error_of([] { empty({1LL << 62}); }), "2^63 bytes");
  EXPECT_NE(error_of([&] { t.size(2); }), "");
}

TEST(Tensor, EmptyTensorsAreTensors) {
  const Tensor t = zeros({0, 3});
  EXPECT_EQ(t.count(), 0);
  EXPECT_TRUE(to_vector<float>(t).empty());
  EXPECT_TRUE(t.clone().is_contiguous());
  EXPECT_TRUE(zeros({2, 0, 3}).detach().is_contiguous());
}

TEST(Tensor, ViewsShareMemoryAndVersions) {
  const Tensor t = from_vector<float>({1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor column = slice(t, 1, 1, 2);
  EXPECT_FALSE(column.is_contiguous());
  EXPECT_EQ(to_vector<float>(column), (std::vector<float>{2, 5}));
  Tensor row = slice(t, 0, 1, 2);
  EXPECT_TRUE(row.is_contiguous());
  const std::uint32_t before = t.impl()->storage->version;
  row.fill_(9);
  EXPECT_EQ(t.impl()->storage->version, before + 1);
  EXPECT_EQ(to_vector<float>(t), (std::vector<float>{1, 2, 3, 9, 9, 9}));
}

// Notes which bytes were waited for.
struct Noted final : Arrival {
  std::vector<std::pair<std::int64_t, std::int64_t>> asked;
  void await(const Storage&, std::int64_t begin, std::int64_t end) override {
    asked.emplace_back(begin, end);
  }
};

TEST(Tensor, WaitsForTheBytesThatItSpans) {
  const Tensor t = zeros({4, 6});
  const Tensor before = slice(t, 0, 1, 3);
  const Saved saved = save(before);
  Noted arrival;
  t.impl()->storage->arrival = &arrival;
  using Bytes = std::vector<std::pair<std::int64_t, std::int64_t>>;
  const auto asked_by = [&](const std::function<void()>& f) {
    arrival.asked.clear();
    f();
    return arrival.asked;
  };
  EXPECT_EQ(asked_by([&] { t.data(); }), (Bytes{{0, 96}}));
  EXPECT_EQ(asked_by([&] { t.as<float>(); }), (Bytes{{0, 96}}));
  EXPECT_EQ(asked_by([&] { before.data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { saved.data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { saved.tensor().data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { before.detach().data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { reshape(before, {3, 4}).data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { slice(t, 1, 2, 3).data(); }), (Bytes{{8, 84}}));
  EXPECT_EQ(asked_by([&] { transpose(before, 0, 1).data(); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { expand(slice(t, 0, 3, 4), {5, 6}).data(); }), (Bytes{{72, 96}}));
  EXPECT_EQ(asked_by([&] { make_view(t, 20, {5}, {-3}).data(); }), (Bytes{{32, 84}}));
  EXPECT_EQ(asked_by([&] { to_vector<float>(before); }), (Bytes{{24, 72}}));
  EXPECT_EQ(asked_by([&] { slice(t, 0, 3, 4).fill_(1); }), (Bytes{{72, 96}}));
  EXPECT_EQ(asked_by([&] { make_view(t, 23, {}, {}).item(); }), (Bytes{{92, 96}}));
  EXPECT_TRUE(asked_by([&] { slice(t, 0, 2, 2).data(); }).empty());
  EXPECT_TRUE(asked_by([&] { zeros({4}).data(); }).empty());
  expect_says(error_of([&] { saved.data(); }), "changed in place");
}

TEST(Tensor, CopiesBetweenViewsThatOverlap) {
  Tensor t = from_vector<float>({1, 2, 3, 4, 5, 6, 7, 8, 9}, {3, 3});
  t.copy_(transpose(t, 0, 1));
  EXPECT_EQ(to_vector<float>(t), (std::vector<float>{1, 4, 7, 2, 5, 8, 3, 6, 9}));
}

TEST(Tensor, InPlaceWritesToTheTapeAreRefused) {
  Tensor x = zeros({2});
  x.set_requires_grad(true);
  expect_says(error_of([&] { x.fill_(1); }), "do it under NoGrad");
  Tensor y = reshape(x, {2, 1});
  expect_says(error_of([&] { y.fill_(1); }), "history");
  const NoGrad inference;
  x.fill_(3);
  EXPECT_EQ(to_vector<float>(x), (std::vector<float>{3, 3}));
}

TEST(Device, NamesAreParsedAndUnknownOnesRefused) {
  EXPECT_EQ(parse_device("cpu"), Device{});
  for (const char* bad : {"gpu", "cpu:1", "cpu:", "cpu:x", "cpu:99999999999", ""}) {
    try {
      parse_device(bad);
      FAIL() << bad;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(e.what()).find("cpu"), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace convoy
