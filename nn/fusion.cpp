// SPDX-License-Identifier: MIT
#include "nn/fusion.h"

#include <atomic>

namespace convoy::nn {
namespace {
std::atomic<bool> fusion{true};
}

void set_fusion(bool on) { fusion = on; }
bool fusion_enabled() { return fusion.load(std::memory_order_relaxed); }

}  // namespace convoy::nn
