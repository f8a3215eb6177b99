// SPDX-License-Identifier: MIT
#pragma once
// Whether layers call fused ops (the default) or compose them of plain ones: the composition is
// what a fused op is checked against. Set once, before the model runs.

namespace convoy::nn {

void set_fusion(bool on);
bool fusion_enabled();

}  // namespace convoy::nn
