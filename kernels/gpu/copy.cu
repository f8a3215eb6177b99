// SPDX-License-Identifier: MIT
#include "kernels/copy.h"

#include "kernels/gpu/convert.cuh"
#include "kernels/gpu/flat.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

template <class T>
__global__ void __launch_bounds__(kFlatThreads) fill_each(Flat flat, T* y, T value) {
  for_my_elements<T>(flat, [&]<int N>(Width<N>, std::int64_t first) {
    if constexpr (N == 1) {
      y[first] = value;
    } else {
      Packed<T> pack;
      for (T& v : pack.values) v = value;
      store_packed(y + first, pack);
    }
  });
}

}  // namespace

Plan plan(const Fill&, const Device&) { return {.variant = "pack_per_thread"}; }

void run(const Fill& op, const Plan&, void*, const Stream& stream) {
  with_any_dtype(op.dtype, [&]<class Value>(Type<Value>) {
    using T = Bits<sizeof(Value)>;
    const Flat flat = flat_over<T>(op.count, op.y);
    launch({.grid = flat.blocks(), .block = kFlatThreads, .stream = stream}, fill_each<T>, flat,
           static_cast<T*>(op.y), std::bit_cast<T>(stored<Value>(op.value)));
  });
}

}  // namespace convoy::CONVOY_TARGET
