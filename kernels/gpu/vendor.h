// SPDX-License-Identifier: MIT
#pragma once
// The vendor's variants as rungs of a ladder: on cuda, where they are built. The simulator has
// none.
//
//   std::vector<const char*> rungs(const Gemm& op) { return with_vendor(op, own_rungs(op)); }

#include <string_view>
#include <vector>

#include "kernels/gpu/target.h"
#include "kernels/tuning.h"
#include "kernels/vendor/batch_norm.h"
#include "kernels/vendor/built.h"
#include "kernels/vendor/conv2d.h"
#include "kernels/vendor/gemm.h"
#include "kernels/vendor/names.h"

namespace convoy::CONVOY_TARGET {

// On the calling thread's device, which is where the op will run.
template <class Op>
std::vector<const char*> vendor_rungs(const Op& op, std::size_t limit) {
  if constexpr (!kSim && vendor::kIsBuilt<Op>) {
    return vendor::variants(op, thread_device(), limit);
  }
  return {};
}

template <class Op>
std::vector<const char*> with_vendor(const Op& op, std::vector<const char*> own) {
  const std::vector<const char*> theirs = vendor_rungs(op, vendor::kNames.size());
  own.insert(own.end(), theirs.begin(), theirs.end());
  return own;
}

// "vendor", "vendor_2" …, where they can be planned.
template <class Op>
bool is_vendor_rung(const Op&, std::string_view variant) {
  return !kSim && vendor::kIsBuilt<Op> && vendor::is_vendor(variant);
}
template <class Op>
Plan vendor_plan(const Op& op, const Device& device, std::string_view variant) {
  if constexpr (!kSim && vendor::kIsBuilt<Op>) return vendor::plan(op, device, variant);
  return {};
}
template <class Op>
void vendor_run(const Op& op, const Plan& plan, void* workspace, const Stream& stream) {
  if constexpr (!kSim && vendor::kIsBuilt<Op>) vendor::run(op, plan, workspace, stream);
}

}  // namespace convoy::CONVOY_TARGET
