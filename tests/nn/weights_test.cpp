// SPDX-License-Identifier: MIT
#include "nn/weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "tests/support/temporary_folder.h"

namespace convoy::nn {
namespace {

using convoy::testing::TemporaryFolder;

// A filter, a matrix, a vector and a buffer.
class Small : public Module {
 public:
  Tensor forward(const Tensor& x) override { return x; }
  Tensor filter = add_parameter("conv.weight", {2, 3, 3, 4}, Init::normal(0, 1));
  Tensor matrix = add_parameter("fc.weight", {2, 3}, Init::normal(0, 1));
  Tensor vector = add_parameter("fc.bias", {2}, Init::normal(0, 1));
  Tensor mean = add_buffer("bn.running_mean", {2}, 5);
};

std::span<const std::byte> bytes_of(const std::vector<float>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<float> counting(std::size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

// A complete file for Small in PyTorch's layout, to be changed by tests.
struct File {
  std::vector<float> values = counting(72);
  std::vector<StoredTensor> tensors{
      {"conv.weight", StoredType::F32, {2, 4, 3, 3}, bytes_of(values)},
      {"fc.weight", StoredType::F32, {2, 3}, bytes_of(values).first(24)},
      {"fc.bias", StoredType::F32, {2}, bytes_of(values).first(8)},
      {"bn.running_mean", StoredType::F32, {2}, bytes_of(values).first(8)}};
};

std::string load_error(const std::vector<StoredTensor>& tensors, Small& model) {
  const TemporaryFolder folder;
  write_safetensors(folder / "w", tensors);
  try {
    load_weights(model, folder / "w");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::data);
    return e.what();
  }
  return "";
}

TEST(Weights, FiltersAreTransposedFromPyTorchsLayout) {
  Small model;
  EXPECT_EQ(load_error(File().tensors, model), "");
  const auto filter = to_vector<float>(model.filter);
  for (int k = 0; k < 2; ++k) {
    for (int c = 0; c < 4; ++c) {
      for (int r = 0; r < 3; ++r) {
        for (int s = 0; s < 3; ++s) {
          EXPECT_EQ(filter[((k * 3 + r) * 3 + s) * 4 + c], ((k * 4 + c) * 3 + r) * 3 + s);
        }
      }
    }
  }
  EXPECT_EQ(to_vector<float>(model.matrix), counting(6));
  EXPECT_EQ(to_vector<float>(model.mean), counting(2));
}

TEST(Weights, RoundTripIsExact) {
  const TemporaryFolder folder;
  Small model, other;
  initialize(model, 3);
  save_weights(model, folder / "w");
  load_weights(other, folder / "w");
  for (std::size_t i = 0; i < model.state().size(); ++i) {
    EXPECT_EQ(to_vector<float>(model.state()[i].tensor), to_vector<float>(other.state()[i].tensor));
  }
  const SafetensorsReader reader(folder / "w");
  EXPECT_EQ(reader.entry("conv.weight").shape, (std::vector<std::uint64_t>{2, 4, 3, 3}));
  EXPECT_EQ(reader.header().metadata.at("format"), "pt");
  save_weights(other, folder / "again");
  EXPECT_EQ(convoy::testing::file_text(folder / "w"), convoy::testing::file_text(folder / "again"));
}

TEST(Weights, CountersAndTheDataParallelPrefixAreTolerated) {
  Small model;
  File file;
  const std::vector<std::int64_t> steps{12};
  file.tensors.push_back(
      {"bn.num_batches_tracked", StoredType::I64, {}, std::as_bytes(std::span(steps))});
  for (StoredTensor& t : file.tensors) t.name = "module." + t.name;
  EXPECT_EQ(load_error(file.tensors, model), "");
  EXPECT_EQ(to_vector<float>(model.vector), counting(2));
}

TEST(Weights, HalfAndDoublePrecisionAreConverted) {
  Small model;
  File file;
  const std::vector<double> wide{1.5, -2};
  const std::vector<std::uint16_t> half{0x3e00, 0xc000}, brain{0x3fc0, 0xc000};  // 1.5 and -2
  const auto load = [&](StoredType type, std::span<const std::byte> bytes) {
    file.tensors[2] = {"fc.bias", type, {2}, bytes};
    EXPECT_EQ(load_error(file.tensors, model), "");
    EXPECT_EQ(to_vector<float>(model.vector), (std::vector<float>{1.5, -2})) << name(type);
  };
  load(StoredType::F64, std::as_bytes(std::span(wide)));
  load(StoredType::F16, std::as_bytes(std::span(half)));
  load(StoredType::BF16, std::as_bytes(std::span(brain)));
  const std::vector<std::int32_t> integers{1, 2};
  file.tensors[2] = {"fc.bias", StoredType::I32, {2}, std::as_bytes(std::span(integers))};
  EXPECT_NE(load_error(file.tensors, model).find("\"fc.bias\": expected values of f32, found i32"),
            std::string::npos);
}

TEST(Weights, AllDifferencesAreListedAndTheModelIsLeftAlone) {
  Small model;
  initialize(model, 1);
  const auto before = to_vector<float>(model.filter);
  File file;
  file.tensors[1] = {"fc.weight", StoredType::F32, {3, 2}, bytes_of(file.values).first(24)};
  file.tensors[2].name = "head.bias";
  for (const char* more : {"a", "b", "c"}) {
    file.tensors.push_back({more, StoredType::F32, {0}, {}});
  }
  const std::string error = load_error(file.tensors, model);
  EXPECT_NE(error.find("does not fit the model, which has 4 tensors: 1 missing (\"fc.bias\"), "
                       "4 unexpected (\"a\", \"b\", \"c\", ...), 1 of another shape "
                       "(\"fc.weight\": expected [2, 3], found [3, 2])"),
            std::string::npos)
      << error;
  EXPECT_EQ(to_vector<float>(model.filter), before);
}

TEST(Weights, ATruncatedFileIsRefused) {
  const TemporaryFolder folder;
  Small model;
  initialize(model, 1);
  const auto before = to_vector<float>(model.filter);
  save_weights(model, folder / "w");
  std::filesystem::resize_file(folder / "w", std::filesystem::file_size(folder / "w") - 4);
  EXPECT_THROW(load_weights(model, folder / "w"), Error);
  EXPECT_EQ(to_vector<float>(model.filter), before);
}

}  // namespace
}  // namespace convoy::nn
