// SPDX-License-Identifier: MIT
#include "runtime/step_reports.h"

#include <gtest/gtest.h>

#include "tests/runtime/sim_device.h"

namespace convoy {
namespace {

using testing::ScopedMode;

constexpr Device kSim{DeviceType::sim};

// Sets the device's loss scale in stream order, as a kernel would.
void set_scale(float scale) {
  StepStateBuffer& state = step_state(kSim);
  state.host().loss_scale = scale;
  state.upload_all(current_stream(kSim));
}

TEST(StepReports, ArriveInOrderAndOnlyOnceTheStreamHasPassed) {
  const ScopedMode mode(sim::Async::late);
  const Stream stream = current_stream(kSim);
  StepReports reports(kSim, 2);
  EXPECT_TRUE(reports.empty());
  EXPECT_FALSE(reports.take().has_value());
  set_scale(8);
  reports.push(stream);
  set_scale(4);
  reports.push(stream);
  EXPECT_FALSE(reports.take().has_value()) << "nothing waits, so nothing has run";
  EXPECT_TRUE(reports.full());
  EXPECT_THROW(reports.push(stream), Error);
  EXPECT_EQ(reports.wait().loss_scale, 8);
  backend(kSim).synchronize(stream);
  const auto second = reports.take();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->loss_scale, 4);
  EXPECT_THROW(reports.wait(), Error);
  set_scale(1);
}

// What the device keeps is not taken back by the host's next step.
TEST(StepState, AnUploadLeavesTheDevicesPartAlone) {
  const Stream stream = current_stream(kSim);
  set_scale(32);
  StepStateBuffer& state = step_state(kSim);
  state.host().loss_scale = 2;  // out of date
  state.host().step = 11;
  state.upload(stream);
  StepReports reports(kSim);
  reports.push(stream);
  const StepState found = reports.wait();
  EXPECT_EQ(found.loss_scale, 32);
  EXPECT_EQ(found.step, 11);
  EXPECT_EQ(state.read(stream).loss_scale, 32);
  EXPECT_EQ(state.host().step, 11);
  set_scale(1);
}

TEST(StepReports, OfADeviceThatWorksAtOnce) {
  StepReports reports(Device{});
  step_state(Device{}).host().skipped = 5;
  reports.push(current_stream(Device{}));
  step_state(Device{}).host().skipped = 0;
  EXPECT_EQ(reports.take()->skipped, 5);
}

}  // namespace
}  // namespace convoy
