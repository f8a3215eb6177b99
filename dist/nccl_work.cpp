// SPDX-License-Identifier: MIT
#include "dist/nccl_work.h"

#include <utility>

#include "kernels/require.h"

namespace convoy::dist {

void NcclFailure::set(const std::string& text) {
  const std::lock_guard lock(mutex_);
  if (text_.empty()) text_ = text;
}

void NcclFailure::throw_if_set() const {
  const std::lock_guard lock(mutex_);
  if (!text_.empty()) throw Error(text_);
}

NcclWork::NcclWork(Operation what, Tensor in, Tensor out,
                   std::shared_ptr<const NcclFailure> failure)
    : operation(what),
      device(in.device()),
      come(device),
      passed(device),
      in_(std::move(in)),
      out_(std::move(out)),
      failure_(std::move(failure)) {}

void NcclWork::wait() {
  failure_->throw_if_set();
  passed.hold(current_stream(device));
}

bool NcclWork::has_passed() {
  failure_->throw_if_set();
  return passed.has_passed();
}

}  // namespace convoy::dist
