// SPDX-License-Identifier: MIT
// A team of threads per row for the losses and for the gradient; the reduction over rows is one
// block, whose threads stride over them.
#include "kernels/cross_entropy.h"

#include "kernels/gpu/long_sum.cuh"
#include "kernels/gpu/row_values.cuh"

namespace convoy::CONVOY_TARGET {
namespace {

constexpr int kReduceThreads = 256;

// The weights t_k of a row's terms.
template <class T>
struct Targets {
  const void* values;
  DType dtype;
  const T* weight;  // may be null
  float keep, smooth;
  std::int64_t ignore_index, classes;

  __device__ bool soft() const { return dtype != DType::i32 && dtype != DType::i64; }
  __device__ std::int64_t class_of(std::int64_t row) const {
    if (dtype == DType::i32) return static_cast<const std::int32_t*>(values)[row];
    return static_cast<const std::int64_t*>(values)[row];
  }
  __device__ float weight_of(std::int64_t k) const {
    return weight == nullptr ? 1.0f : widen(weight[k]);
  }
  // t_k for N classes from k on, of a row of class y, or of the row's soft targets, which t holds.
  template <int N>
  __device__ void terms(const Row<const T>& soft_row, std::int64_t y, std::int64_t k,
                        float (&t)[N]) const {
    if (soft()) {
      for (float& q : t) q = keep * q + smooth;
    } else {
      for (int j = 0; j < N; ++j) t[j] = k + j == y ? keep + smooth : smooth;
    }
    if (weight == nullptr) return;
    float w[N];
    load_row(Row<const T>{weight, soft_row.length, soft_row.packed}, k, w);
    // A share of nothing stays nothing, whatever the weight; a soft target is a product.
    for (int j = 0; j < N; ++j) t[j] = !soft() && t[j] == 0 ? 0 : t[j] * w[j];
  }
  // Only soft targets have one.
  __device__ Row<const T> row_of(std::int64_t row, std::int64_t length, bool packed) const {
    const T* const data = soft() ? static_cast<const T*>(values) + row * classes : nullptr;
    return {data, length, packed};
  }
};

// Soft targets: neither, and y names no class.
struct RowClass {
  std::int64_t y;
  bool ignored, wrong;
};

template <class T>
__device__ __forceinline__ RowClass row_class(const Targets<T>& targets, std::int64_t row) {
  if (targets.soft()) return {-1, false, false};
  const std::int64_t y = targets.class_of(row);
  const bool ignored = y == targets.ignore_index;
  return {y, ignored, !ignored && !inside(y, targets.classes)};
}

template <class Team>
struct Storage {
  typename Team::template Scratch<float> largest;
  typename Team::template Scratch<double> exps, terms, total;
};

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    loss_of_row(std::int64_t rows, bool packed, const T* logits, Targets<T> targets,
                float* row_loss, float* lse) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row();
  const bool works = inside(row, rows);
  const RowClass c = works ? row_class(targets, row) : RowClass{};
  const std::int64_t length = works && !c.ignored ? targets.classes : 0;
  const Row<const T> logits_of_row{logits + row * targets.classes, length, packed};
  const Row<const T> soft = targets.row_of(row, length, packed);
  const auto with_terms = [&](std::int64_t k, float(&)[N], float(&t)[N]) {
    targets.terms(soft, c.y, k, t);
  };
  auto values = prepared_row_values<Team>(with_terms, logits_of_row, soft);
  float mine = -INFINITY;
  values.each([&](std::int64_t, float z, float) { mine = fmaxf(mine, z); });
  const float largest = Team::fold(mine, s.largest, Maximum{});
  // The loss is sum t_k * (largest - z_k) + log_sum * sum t_k.
  LongSum sums[3];
  values.sums(sums, [&](float(&terms)[3], float z, float t) {
    const float below = largest - z;
    terms[0] = expf(-below);
    // 0 * inf: a class that may not occur and does not occur costs nothing.
    terms[1] = t == 0 ? 0 : t * below;
    terms[2] = t;
  });
  const auto exps = static_cast<float>(Team::fold(sums[0].value(), s.exps, Add{}));
  const float log_sum = logf(exps);
  const double of_terms = Team::fold(sums[1].value(), s.terms, Add{});
  const double of_total = Team::fold(sums[2].value(), s.total, Add{});
  if (!works || Team::rank() != 0) return;
  const auto loss = static_cast<float>(of_terms + of_total * static_cast<double>(log_sum));
  row_loss[row] = c.ignored ? 0 : c.wrong ? NAN : loss;
  lse[row] = c.ignored ? 0 : largest + log_sum;
}

struct ReduceStorage {
  BlockScratch<double, kReduceThreads> loss, divisor;
};

// `divisor` gets what the mean divides by: the weights of the rows' classes, or the soft rows.
template <class T>
__global__ void __launch_bounds__(kReduceThreads)
    reduce_losses(std::int64_t rows, Targets<T> targets, const float* row_loss, bool mean,
                  float* loss, float* divisor) {
  begin_kernel();
  auto& s = shared<ReduceStorage>();
  LongSum losses, shares;
  for (std::int64_t row = threadIdx.x; inside(row, rows); row += kReduceThreads) {
    const RowClass c = row_class(targets, row);
    losses.add(row_loss[row]);
    shares.add(targets.soft() ? 1 : c.ignored || c.wrong ? 0 : targets.weight_of(c.y));
  }
  const double sum = block_sum(losses.value(), s.loss);
  const double share = mean ? block_sum(shares.value(), s.divisor) : 1;
  if (threadIdx.x != 0) return;
  *loss = static_cast<float>(sum / share);
  *divisor = static_cast<float>(share);
}

// d loss / d z_k = (sum_j t_j) * softmax_k - t_k
template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads, Team::kBlocks)
    gradient_of_row(std::int64_t rows, bool packed, const T* logits, Targets<T> targets,
                    const float* lse, const float* dloss, bool loss_per_row, const float* divisor,
                    T* dlogits, bool accumulate) {
  begin_kernel();
  constexpr int N = Packed<T>::kCount;
  auto& s = shared<Storage<Team>>();
  const std::int64_t row = Team::row();
  const bool works = inside(row, rows);
  const RowClass c = works ? row_class(targets, row) : RowClass{};
  const std::int64_t length = works ? targets.classes : 0, first = row * targets.classes;
  const Row<const T> logits_of_row{logits + first, length, packed};
  const Row<const T> soft = targets.row_of(row, length, packed);
  const auto with_terms = [&](std::int64_t k, float(&)[N], float(&t)[N]) {
    targets.terms(soft, c.y, k, t);
  };
  auto values = prepared_row_values<Team>(with_terms, logits_of_row, soft);
  const LongSum terms = values.sum([](float, float t) { return t; });
  const auto total = static_cast<float>(Team::fold(terms.value(), s.total, Add{}));
  if (!works) return;
  const float shift = lse[row];
  const float scale = loss_per_row ? dloss[row] : *dloss / *divisor;
  values.packs([&](std::int64_t k, float(&z)[N], float(&t)[N]) {
    for (int j = 0; j < N; ++j) {
      const float value = (total * expf(z[j] - shift) - t[j]) * scale;
      z[j] = c.ignored ? 0 : c.wrong ? NAN : value;
    }
    put_row(Row<T>{dlogits + first, length, packed}, k, z, accumulate);
  });
}

__global__ void __launch_bounds__(kWarp) clear_counts(std::int64_t* correct) {
  begin_kernel();
  if (inside(static_cast<int>(threadIdx.x), 3)) correct[threadIdx.x] = 0;
}

__device__ __forceinline__ void add_count(std::int64_t* place, bool counts) {
  if (counts) atomicAdd(reinterpret_cast<unsigned long long*>(place), 1ull);
}

template <class Team>
struct CountStorage {
  typename Team::template Scratch<int> before;
};

struct Ranks {
  std::int64_t k[2];
};

template <class T, class Team>
__global__ void __launch_bounds__(Team::kThreads)
    count_row(std::int64_t rows, bool packed, const T* logits, Targets<T> targets, Ranks ranks,
              std::int64_t* correct) {
  begin_kernel();
  auto& s = shared<CountStorage<Team>>();
  const std::int64_t row = Team::row();
  const bool works = inside(row, rows);
  const RowClass c = works ? row_class(targets, row) : RowClass{};
  const bool ranked = works && !c.ignored && !c.wrong;
  const std::int64_t length = ranked ? targets.classes : 0;
  const Row<const T> z{logits + row * targets.classes, length, packed};
  const float own = ranked ? widen(z.data[c.y]) : NAN;
  int mine = 0;
  auto values = row_values<Team>(z);
  values.each([&](std::int64_t k, float other) {
    mine += k < c.y ? !(other < own) : k > c.y && !(other <= own);
  });
  const int before = Team::fold(mine, s.before, Add{});
  if (!works || Team::rank() != 0) return;
  add_count(correct, own == own && before < ranks.k[0]);
  add_count(correct + 1, own == own && before < ranks.k[1]);
  add_count(correct + 2, !c.ignored);
}

template <class T>
Targets<T> targets_of(const CrossEntropyTarget& t, std::int64_t classes) {
  return {t.target,
          t.dtype,
          static_cast<const T*>(t.class_weight),
          static_cast<float>(1 - t.label_smoothing),
          static_cast<float>(t.label_smoothing / static_cast<double>(classes)),
          t.ignore_index,
          classes};
}

template <class T, class Op, class... Pointers>
bool packed_rows(const Op& op, const Targets<T>& targets, const Pointers*... others) {
  const void* const soft = is_class_index(targets.dtype) ? nullptr : targets.values;
  return has_packed_rows<T>(op.classes, op.logits, soft, targets.weight, others...);
}

}  // namespace

Plan plan(const CrossEntropyForward&, const Device&) { return {.variant = "row_team"}; }
Plan plan(const CrossEntropyBackward&, const Device&) { return {.variant = "row_team"}; }
Plan plan(const TopKCount&, const Device&) { return {.variant = "row_team"}; }

void run(const CrossEntropyForward& op, const Plan&, void*, const Stream& stream) {
  require_target_dtype(op);
  with_dtype("cross_entropy", op.dtype, [&]<class T>(Type<T>) {
    const Targets<T> targets = targets_of<T>(op.target, op.classes);
    auto* const row_loss = static_cast<float*>(op.row_loss);
    with_team(op.classes, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             loss_of_row<T, Team>, op.rows, packed_rows<T>(op, targets),
             static_cast<const T*>(op.logits), targets, row_loss, static_cast<float*>(op.lse));
    });
    if (op.reduction == Reduction::none) return;
    launch({.grid = 1,
            .block = kReduceThreads,
            .shared_bytes = sizeof(ReduceStorage),
            .stream = stream},
           reduce_losses<T>, op.rows, targets, row_loss, op.reduction == Reduction::mean,
           static_cast<float*>(op.loss), static_cast<float*>(op.divisor));
  });
}

void run(const CrossEntropyBackward& op, const Plan&, void*, const Stream& stream) {
  with_dtype("cross_entropy", op.dtype, [&]<class T>(Type<T>) {
    const Targets<T> targets = targets_of<T>(op.target, op.classes);
    with_team(op.classes, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(Storage<Team>),
              .stream = stream},
             gradient_of_row<T, Team>, op.rows, packed_rows<T>(op, targets, op.dlogits),
             static_cast<const T*>(op.logits), targets, static_cast<const float*>(op.lse),
             static_cast<const float*>(op.dloss), op.reduction == Reduction::none,
             static_cast<const float*>(op.divisor), static_cast<T*>(op.dlogits), op.accumulate);
    });
  });
}

void run(const TopKCount& op, const Plan&, void*, const Stream& stream) {
  require_target_dtype(op);
  if (!op.accumulate) {
    launch({.grid = 1, .block = kWarp, .stream = stream}, clear_counts, op.correct);
  }
  const CrossEntropyTarget target{
      .target = op.target, .dtype = op.target_dtype, .ignore_index = op.ignore_index};
  with_dtype("top_k", op.dtype, [&]<class T>(Type<T>) {
    with_team(op.classes, [&]<class Team>(Team) {
      launch({.grid = blocks_for(op.rows, Team::kRows),
              .block = Team::kThreads,
              .shared_bytes = sizeof(CountStorage<Team>),
              .stream = stream},
             count_row<T, Team>, op.rows, has_packed_rows<T>(op.classes, op.logits),
             static_cast<const T*>(op.logits), targets_of<T>(target, op.classes),
             Ranks{{op.k[0], op.k[1]}}, op.correct);
    });
  });
}

}  // namespace convoy::CONVOY_TARGET
