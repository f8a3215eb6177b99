// SPDX-License-Identifier: MIT
#include "kernels/cpu/simd.h"

#include <cstdlib>
#include <string_view>

namespace convoy::on_cpu {

bool avx512() {
  static const bool answer = [] {
    const char* wish = std::getenv("CONVOY_CPU");
    if (wish != nullptr && std::string_view(wish) == "avx2") return false;
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#else
    return false;
#endif
  }();
  return answer;
}

}  // namespace convoy::on_cpu
