// SPDX-License-Identifier: MIT
#include "kernels/vendor/batch_norm.h"

#include "kernels/vendor/planned.h"

namespace convoy::vendor {

std::vector<const char*> variants(const BatchNormForward& op, const Device& device,
                                  std::size_t limit) {
  return cudnn_variants(op, device, limit);
}
std::vector<const char*> variants(const BatchNormBackward& op, const Device& device,
                                  std::size_t limit) {
  return cudnn_variants(op, device, limit);
}

Plan plan(const BatchNormForward& op, const Device& device, std::string_view variant) {
  return cudnn_plan("batch_norm", op, device, variant);
}
Plan plan(const BatchNormBackward& op, const Device& device, std::string_view variant) {
  return cudnn_plan("batch_norm", op, device, variant);
}

void run(const BatchNormForward& op, const Plan& plan, void* workspace, const Stream& stream) {
  cudnn_run(op, plan, workspace, stream);
}
void run(const BatchNormBackward& op, const Plan& plan, void* workspace, const Stream& stream) {
  cudnn_run(op, plan, workspace, stream);
}

}  // namespace convoy::vendor
