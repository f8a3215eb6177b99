// SPDX-License-Identifier: MIT
#pragma once
// Mean and squared deviations of some values, joined with those of others (Chan, Golub, LeVeque,
// "Updating formulae and a pairwise algorithm for computing sample variances", 1979): safe for any
// mean. In a fixed order, the same bits each time.

#include "kernels/gpu/gpu.cuh"

namespace convoy::CONVOY_TARGET {

template <class Real>
struct Spread {
  Real count = 0, mean = 0, deviations = 0;  // the sum of squared deviations from the mean

  __device__ __forceinline__ void join(const Spread& other) {
    if (other.count == 0) return;
    const Real all = count + other.count, apart = other.mean - mean;
    mean += apart * (other.count / all);
    deviations += other.deviations + apart * apart * (count * other.count / all);
    count = all;
  }
};

}  // namespace convoy::CONVOY_TARGET
