// SPDX-License-Identifier: MIT
#pragma once
// Independent rows over threads of their own, for decoding.

#include <cstdint>
#include <functional>

namespace convoy::data {

// Calls work(row) for every row in [0, rows), in `threads` pieces at once. If some throw, what the
// lowest of them threw is thrown here, after all threads have ended; a piece stops at its error.
void for_each_row(std::int64_t rows, int threads, const std::function<void(std::int64_t)>& work);

}  // namespace convoy::data
