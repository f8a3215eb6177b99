// SPDX-License-Identifier: MIT
#include "kernels/sim/async_source.h"

#include <fmt/format.h>

#include <cstring>

#include "kernels/sim/scheduler.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim {

AsyncSource::AsyncSource(Block& block) : block_(&block) {
  async_view(block);
  publish_fenced(block);
}

const std::byte* AsyncSource::take(std::size_t offset, const char* what, const Site& site) {
  if (offset % kUnit != 0 || offset + kUnit > block_->shared_bytes) {
    fault(fmt::format("{}: expects units of 16 bytes of the block's {} bytes of shared memory, "
                      "found offset {}",
                      what, block_->shared_bytes, static_cast<std::int64_t>(offset)),
          site);
  }
  const std::byte* seen = block_->async_view + offset;
  if (std::memcmp(seen, block_->shared + offset, kUnit) != 0) {
    fault(fmt::format("{}: reads shared memory at offset {} that was written without a "
                      "fence.proxy.async behind it",
                      what, offset),
          site);
  }
  offsets_.push_back(static_cast<std::uint32_t>(offset));
  bytes_.insert(bytes_.end(), seen, seen + kUnit);
  return bytes_.data() + bytes_.size() - kUnit;
}

void AsyncSource::check_unchanged(const AsyncWork& work) const {
  for (std::size_t i = 0; i < offsets_.size(); ++i) {
    const std::byte* now = block_->shared + offsets_[i];
    if constexpr (access::kEnabled) access::work_reads(work.ticket, now, kUnit, work.site);
    if (std::memcmp(now, unit(i), kUnit) != 0) {
      fault(*work.issuer,
            fmt::format("{}: shared memory at offset {} is written while it is read", work.what,
                        offsets_[i]),
            work.site);
    }
  }
}

}  // namespace convoy::sim
