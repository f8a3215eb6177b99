// SPDX-License-Identifier: MIT
// Minutes on real data: ctest -L slow.
#include "tests/apps/shared_data.h"

namespace convoy::testing {
namespace {

TEST(SharedDataSlow, PretrainedResnet20SaysNearlyTheSameInHalfPrecision) {
  SKIP_WITHOUT("cifar10");
  SKIP_WITHOUT("pretrained");
  const Folder folder;
  const auto half = predictions(folder, "--device sim --amp", 4);
  ASSERT_EQ(half.size(), 512u);
  EXPECT_LE(changed(half, predictions(folder, "", 4)), 512 / 200);
}

}  // namespace
}  // namespace convoy::testing
