// SPDX-License-Identifier: MIT
#pragma once
// Which elements of a product's factor are neighbours in memory: those along k, or those along m
// (of a) or n (of b).

#include "kernels/gpu/target.h"

namespace convoy::CONVOY_TARGET {

enum class Major : int { k = 0, mn = 1 };

}  // namespace convoy::CONVOY_TARGET
