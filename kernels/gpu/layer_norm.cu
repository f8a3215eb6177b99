// SPDX-License-Identifier: MIT
// A team of threads per row: mean, then variance about it, then the result, of values that are read
// once. The gradients of scale and bias are sums over rows.
#include "kernels/layer_norm.h"

#include "kernels/gpu/column_sums.cuh"
#include "kernels/gpu/row_values.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

// Of N channels: their values, or what stands for values that are not there.
template <int N, class T>
__device__ __forceinline__ void load_or(const Row<const T>& row, std::int64_t k, float missing,
                                        float (&v)[N]) {
  if (row.data != nullptr) return load_row(row, k, v);
  for (float& e : v) e = missing;
}

// Of one channel in a mean over all of them: each row divides by their number.
double share_of_one(std::int64_t channels) { return 1 / static_cast<double>(channels); }

template <class Team>
struct Storage {
  typename Team::template Scratch<double> first, second;
};

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    normalise_row(std::int64_t rows, std::int64_t channels, double share, bool packed, const T* x,
                  const T* scale, const T* bias, double eps, float* mean_of, float* rstd_of, T* y) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), length = inside(row, rows) ? channels : 0;
  const Row<const T> from{x + row * channels, length, packed};
  const Row<const T> scales{scale, length, packed}, biases{bias, length, packed};
  const Row<T> to{y + row * channels, length, packed};
  auto values = row_values<Team>(from);
  const LongSum sum = values.sum([](float v) { return v; });
  const auto mean = static_cast<float>(Team::fold(sum.value(), s.first, Add{}) * share);
  const LongSum square = values.sum([&](float v) { return (v - mean) * (v - mean); });
  const double var = Team::fold(square.value(), s.second, Add{}) * share;
  const auto rstd = static_cast<float>(1 / sqrt(var + eps));
  values.packs([&](std::int64_t k, float(&v)[N]) {
    for (float& e : v) e = (e - mean) * rstd;
    if (scale != nullptr || bias != nullptr) {
      float gain[N], offset[N];
      load_or(scales, k, 1, gain);
      load_or(biases, k, 0, offset);
      for (int j = 0; j < N; ++j) v[j] = v[j] * gain[j] + offset[j];
    }
    store_row(to, k, v);
  });
  if (!inside(row, rows) || Team::rank() != 0) return;
  mean_of[row] = mean;
  rstd_of[row] = rstd;
}

template <class T>
struct Operands {
  const T *x, *dy, *scale;
  const float *mean, *rstd;
  std::int64_t channels;

  // The gradients of scale and bias.
  template <int N>
  struct Pack {
    const T *x, *dy;
    const float *mean, *rstd;
    __device__ Pack(const Operands& all, std::int64_t)
        : x(all.x), dy(all.dy), mean(all.mean), rstd(all.rstd) {}
    static constexpr int kAtOnce = 2;
    struct Fetched {
      CONVOY_TARGET::Fetched<T, N> x, dy;
      float mean, rstd;
    };
    __device__ Fetched ask(std::int64_t row, std::int64_t i) const {
      return {fetch<N>(x + i), fetch<N>(dy + i), mean[row], rstd[row]};
    }
    __device__ void take(const Fetched& fetched, std::int64_t, LongSum (&d_scale)[N],
                         LongSum (&d_bias)[N]) const {
      float v[N], g[N];
      take_floats(fetched.x, v);
      take_floats(fetched.dy, g);
      for (int j = 0; j < N; ++j) {
        d_scale[j].add_product(g[j], (v[j] - fetched.mean) * fetched.rstd);
        d_bias[j].add(g[j]);
      }
    }
  };
};

// With g = dy * scale and n = (x - mean) * rstd:  dx = rstd * (g - mean(g) - n * mean(g * n)).
template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    gradient_of_row(std::int64_t rows, double share, bool packed, Operands<T> in, T* dx,
                    bool accumulate) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row(), first = row * in.channels;
  const bool works = inside(row, rows);
  const std::int64_t length = works ? in.channels : 0;
  const Row<const T> x{in.x + first, length, packed}, dy{in.dy + first, length, packed};
  const Row<const T> scales{in.scale, length, packed};
  const float mean = works ? in.mean[row] : 0, rstd = works ? in.rstd[row] : 0;
  const auto scaled = [&](std::int64_t k, float(&g)[N], float(&n)[N]) {
    float gain[N];
    load_or(scales, k, 1, gain);
    for (int j = 0; j < N; ++j) {
      n[j] = (n[j] - mean) * rstd;
      g[j] *= gain[j];
    }
  };
  auto values = prepared_row_values<Team>(scaled, dy, x);
  const LongSum sum = values.sum([](float g, float) { return g; });
  const LongSum dot = values.sum([](float g, float n) { return g * n; });
  const auto level = static_cast<float>(Team::fold(sum.value(), s.first, Add{}) * share);
  const auto slope = static_cast<float>(Team::fold(dot.value(), s.second, Add{}) * share);
  values.packs([&](std::int64_t k, float(&g)[N], float(&n)[N]) {
    for (int j = 0; j < N; ++j) g[j] = rstd * (g[j] - level - n[j] * slope);
    put_row(Row<T>{dx + first, length, packed}, k, g, accumulate);
  });
}

template <class T>
__device__ __forceinline__ void put(Results<T> out, std::int64_t c, double value, bool accumulate) {
  if (out.data != nullptr) out.put(c, static_cast<float>(value), accumulate);
}

template <class T>
__global__ void __launch_bounds__(kFinishThreads)
    finish_parameters(std::int64_t channels, const double* partial, unsigned splits,
                      Results<T> d_scale, bool accumulate_scale, Results<T> d_bias,
                      bool accumulate_bias) {
  begin_kernel();
  const ColumnSums sums = column_sums(partial, splits, channels);
  if (!has_column(channels)) return;
  const std::int64_t c = channel_to_join();
  put(d_scale, c, sums.first, accumulate_scale);
  put(d_bias, c, sums.second, accumulate_bias);
}

template <class T>
void run_typed(const LayerNormBackward& op, void* workspace, const Stream& stream) {
  const Operands<T> in{static_cast<const T*>(op.x),        static_cast<const T*>(op.dy),
                       static_cast<const T*>(op.scale),    static_cast<const float*>(op.mean),
                       static_cast<const float*>(op.rstd), op.channels};
  if (op.dx != nullptr) {
    with_team(op.channels, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             gradient_of_row<T, Team>, op.rows, share_of_one(op.channels),
             has_packed_rows<T>(op.channels, op.x, op.dy, op.scale, op.dx), in,
             static_cast<T*>(op.dx), op.accumulate);
    });
  }
  if (op.d_scale == nullptr && op.d_bias == nullptr) return;
  const bool in_f32 =
      result_dtype("layer_norm", "grad_dtype", op.dtype, op.grad_dtype) == DType::f32;
  const RowSplits splits = row_splits(op.rows, op.channels, stream.device);
  auto* const partial = static_cast<double*>(workspace);
  const auto sum = [&]<int N>(Width<N>) {
    launch_column_sums<N>(in, op.rows, op.channels, splits, partial, stream);
  };
  with_channel_packs<T>(op.channels, sum, op.x, op.dy);
  launch_finish(op.channels, stream, finish_parameters<T>, op.channels, partial, splits.count,
                Results<T>{op.d_scale, in_f32}, op.accumulate_scale, Results<T>{op.d_bias, in_f32},
                op.accumulate_bias);
}

}  // namespace

Plan plan(const LayerNormForward&, const Device&) { return {.variant = "row_team"}; }

Plan plan(const LayerNormBackward& op, const Device& device) {
  const RowSplits splits = row_splits(op.rows, op.channels, device);
  return {.variant = "row_team", .workspace_bytes = splits.bytes(op.channels)};
}

void run(const LayerNormForward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("layer_norm", op.dtype, [&]<class T>(Type<T>) {
    with_team(op.channels, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             normalise_row<T, Team>, op.rows, op.channels, share_of_one(op.channels),
             has_packed_rows<T>(op.channels, op.x, op.scale, op.bias, op.y),
             static_cast<const T*>(op.x), static_cast<const T*>(op.scale),
             static_cast<const T*>(op.bias), op.eps, static_cast<float*>(op.mean),
             static_cast<float*>(op.rstd), static_cast<T*>(op.y));
    });
  });
}

void run(const LayerNormBackward& op, const Plan&, void* workspace, const Stream& stream) {
  with_dtype("layer_norm", op.dtype,
             [&]<class T>(Type<T>) { run_typed<T>(op, workspace, stream); });
}

}  // namespace convoy::CONVOY_TARGET
