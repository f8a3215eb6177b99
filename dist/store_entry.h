// SPDX-License-Identifier: MIT
#pragma once
// How large keys and values of a store may be.

#include <cstddef>
#include <string>

namespace convoy::dist {

inline constexpr std::size_t kMaxKeyBytes = 256, kMaxValueBytes = 64 * 1024;

// Throws Error for a key or a value that no store takes.
void check_store_entry(const std::string& key, std::size_t value_bytes);

}  // namespace convoy::dist
