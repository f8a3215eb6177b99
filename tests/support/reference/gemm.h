// SPDX-License-Identifier: MIT
#pragma once
// c = op(a) op(b) by the definition: one triple loop in double precision over index functions.

#include <cstdint>
#include <vector>

namespace convoy::reference {

// Dense op(a) [M, K] and op(b) [K, N] come from row-major storage; result [M, N] row-major.
inline std::vector<double> gemm(std::int64_t M, std::int64_t N, std::int64_t K,
                                const std::vector<double>& a, bool transpose_a, std::int64_t lda,
                                const std::vector<double>& b, bool transpose_b, std::int64_t ldb) {
  std::vector<double> c;
  for (std::int64_t i = 0; i < M; ++i) {
    for (std::int64_t j = 0; j < N; ++j) {
      double sum = 0;
      for (std::int64_t l = 0; l < K; ++l) {
        const double left = a.at(static_cast<std::size_t>(transpose_a ? l * lda + i : i * lda + l));
        const double right =
            b.at(static_cast<std::size_t>(transpose_b ? j * ldb + l : l * ldb + j));
        sum += left * right;
      }
      c.push_back(sum);
    }
  }
  return c;
}

}  // namespace convoy::reference
