// SPDX-License-Identifier: MIT
#include "kernels/vendor/conv2d.h"

#include "kernels/tuning.h"
#include "kernels/vendor/planned.h"

namespace convoy::vendor {

std::vector<const char*> variants(const Conv2dForward& op, const Device& device,
                                  std::size_t limit) {
  return cudnn_variants(op, device, limit);
}
std::vector<const char*> variants(const Conv2dBackwardInput& op, const Device& device,
                                  std::size_t limit) {
  return cudnn_variants(op, device, limit);
}
std::vector<const char*> variants(const Conv2dBackwardWeight& op, const Device& device,
                                  std::size_t limit) {
  return cudnn_variants(op, device, limit);
}

Plan plan(const Conv2dForward& op, const Device& device, std::string_view variant) {
  return cudnn_plan("conv2d", op, device, variant);
}
Plan plan(const Conv2dBackwardInput& op, const Device& device, std::string_view variant) {
  return cudnn_plan("conv2d", op, device, variant);
}
Plan plan(const Conv2dBackwardWeight& op, const Device& device, std::string_view variant) {
  return cudnn_plan("conv2d", op, device, variant);
}

void run(const Conv2dForward& op, const Plan& plan, void* workspace, const Stream& stream) {
  cudnn_run(op, plan, workspace, stream);
}
void run(const Conv2dBackwardInput& op, const Plan& plan, void* workspace, const Stream& stream) {
  cudnn_run(op, plan, workspace, stream);
}
void run(const Conv2dBackwardWeight& op, const Plan& plan, void* workspace, const Stream& stream) {
  cudnn_run(op, plan, workspace, stream);
}

}  // namespace convoy::vendor
