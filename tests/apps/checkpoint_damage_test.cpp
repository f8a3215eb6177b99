// SPDX-License-Identifier: MIT
// The newest checkpoint of a run is damaged, each of its files in every way: it is refused by the
// file's name, and the one before it taken.
#include <gtest/gtest.h>

#include "kernels/require.h"
#include "tests/apps/checkpoints.h"
#include "tests/support/errors.h"

namespace convoy::testing {
namespace {

const std::vector<std::string> kFiles = {"model.safetensors", "model_ema.safetensors",
                                         "optimizer.safetensors", "state.json", "manifest.json"};

class CheckpointDamage : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    Checkpointed job;
    job.save(folder / "run", 4, 1, 2);
    job.save(folder / "run", 5, 2, 2);
    newest = folder / "run/checkpoints/step-00000005";
    before = folder / "run/checkpoints/step-00000004";
    whole = files_of(newest);
  }
  void expect_the_one_before(const std::string& part) {
    ::testing::internal::CaptureStderr();
    const fs::path found = apps::find_checkpoint(folder / "run");
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(found, before);
    expect_says(said, "step-00000005 is damaged (");
    expect_says(said, part);
    const std::string error = error_of([&] { apps::load_state(newest); });
    expect_says(error, "step-00000005 is damaged: ");
    expect_says(error, "; use an earlier one");
  }
  void put_back() { write_text(newest / GetParam(), whole.at(GetParam())); }

  TemporaryFolder folder;
  fs::path newest, before;
  Files whole;
};
INSTANTIATE_TEST_SUITE_P(Of, CheckpointDamage, ::testing::ValuesIn(kFiles), [](const auto& file) {
  return file.param.substr(0, file.param.find('.'));
});

TEST_P(CheckpointDamage, MissingOrCutOffIsPassedOver) {
  fs::remove(newest / GetParam());
  expect_the_one_before(GetParam());
  put_back();
  const std::string& bytes = whole.at(GetParam());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, bytes.size() / 2,
                                 bytes.size() - (GetParam() == "manifest.json" ? 3 : 1)}) {
    write_text(newest / GetParam(), bytes.substr(0, size));
    expect_the_one_before(GetParam());
  }
  put_back();
  EXPECT_EQ(apps::find_checkpoint(folder / "run"), newest);
}

// The manifest holds the others' checksums and has none itself: of it all is read but the step.
TEST_P(CheckpointDamage, EachFlippedBitIsPassedOver) {
  const std::string& bytes = whole.at(GetParam());
  const std::size_t step = bytes.find("\"step\""), line_end = bytes.find('\n', step);
  const std::size_t stride = GetParam() == "manifest.json" ? 7 : 8 * bytes.size() / 200 + 1;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); bit += stride) {
    const std::size_t at = bit / 8;
    if (GetParam() == "manifest.json" && at >= step && at < line_end) continue;
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 1 << bit % 8);
    write_text(newest / GetParam(), changed);
    ::testing::internal::CaptureStderr();
    const fs::path found = apps::find_checkpoint(folder / "run");
    ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(found, before) << "bit " << bit % 8 << " of byte " << at << ": " << changed;
  }
}

TEST(Checkpoints, WithNoneLeftTheErrorNamesTheRun) {
  const TemporaryFolder folder;
  Checkpointed().save(folder / "run", 5, 1);
  fs::remove(folder / "run/checkpoints/step-00000005/manifest.json");
  ::testing::internal::CaptureStderr();
  const std::string error = error_of([&] { apps::find_checkpoint(folder / "run"); });
  ::testing::internal::GetCapturedStderr();
  expect_says(error, (folder / "run").string());
  expect_says(error, "found no complete one");
}

// Of a run that was killed while it saved.
TEST(Checkpoints, WhatWasNotFinishedGoesWithTheNextSave) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "run/checkpoints/.step-00000003.partial");
  write_text(folder / "run/checkpoints/.step-00000003.partial/model.safetensors", "half");
  Checkpointed().save(folder / "run", 5, 1);
  EXPECT_FALSE(fs::exists(folder / "run/checkpoints/.step-00000003.partial"));
}

}  // namespace
}  // namespace convoy::testing
