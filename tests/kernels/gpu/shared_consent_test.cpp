// SPDX-License-Identifier: MIT
#include "kernels/gpu/shared_consent.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace convoy {
namespace {

constexpr std::size_t kLittle = SharedConsent::kWithoutAsking, kMore = kLittle + 1, kMost = 200000;

// What the driver remembers of a kernel is the last number it was told.
struct Driver {
  SharedConsent consent;
  std::vector<std::size_t> told;

  bool launch(const void* kernel, int device, std::size_t bytes) {
    consent.want(kernel, device, bytes, [&] { told.push_back(bytes); });
    return bytes <= kLittle || bytes <= told.back();
  }
};

TEST(SharedConsent, AKernelThatIsLaunchedWithMoreAndLess) {
  Driver driver;
  const int kernel = 0;
  for (const std::size_t bytes : {kMore, kMost, kMore, kLittle, kMost, kMore}) {
    EXPECT_TRUE(driver.launch(&kernel, 0, bytes)) << bytes;
  }
  EXPECT_EQ(driver.told, (std::vector<std::size_t>{kMore, kMost}));
}

TEST(SharedConsent, EachKernelOnEachDeviceIsAsked) {
  Driver driver;
  const int kernels[2] = {};
  driver.launch(&kernels[0], 0, kMost);
  driver.launch(&kernels[0], 1, kMore);
  driver.launch(&kernels[1], 0, kMore);
  EXPECT_EQ(driver.told, (std::vector<std::size_t>{kMost, kMore, kMore}));
}

TEST(SharedConsent, ARefusalIsNotRemembered) {
  SharedConsent consent;
  const int kernel = 0;
  EXPECT_THROW(consent.want(&kernel, 0, kMore, [] { throw std::runtime_error("no"); }),
               std::runtime_error);
  bool asked = false;
  consent.want(&kernel, 0, kMore, [&] { asked = true; });
  EXPECT_TRUE(asked);
}

}  // namespace
}  // namespace convoy
