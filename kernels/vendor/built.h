// SPDX-License-Identifier: MIT
#pragma once
// Which ops have variants by a vendor's library in this build.

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gemm.h"

namespace convoy::vendor {

#ifdef CONVOY_HAS_CUBLASLT
inline constexpr bool kHasCublasLt = true;
#else
inline constexpr bool kHasCublasLt = false;
#endif
#ifdef CONVOY_HAS_CUDNN
inline constexpr bool kHasCudnn = true;
#else
inline constexpr bool kHasCudnn = false;
#endif

template <class Op>
inline constexpr bool kIsBuilt = false;
template <>
inline constexpr bool kIsBuilt<Gemm> = kHasCublasLt;
template <>
inline constexpr bool kIsBuilt<Conv2dForward> = kHasCudnn;
template <>
inline constexpr bool kIsBuilt<Conv2dBackwardInput> = kHasCudnn;
template <>
inline constexpr bool kIsBuilt<Conv2dBackwardWeight> = kHasCudnn;
template <>
inline constexpr bool kIsBuilt<BatchNormForward> = kHasCudnn;
template <>
inline constexpr bool kIsBuilt<BatchNormBackward> = kHasCudnn;

}  // namespace convoy::vendor
