// SPDX-License-Identifier: MIT
#include "kernels/gemm.h"

#include <algorithm>
#include <string_view>

#include "kernels/cpu/epilogue.h"
#include "kernels/cpu/onednn.h"
#include "kernels/cpu/parallel.h"
#include "kernels/gpu/ladder.h"
#include "kernels/tuning.h"

namespace convoy {
CONVOY_LADDER(Gemm)
}

namespace convoy::on_cpu {
namespace {

// Multiply-adds of one product below which plain loops beat the fixed cost of a library call.
constexpr std::int64_t kPlainWork = 8192;

// What the product is added to: the bias, zero, or what is there.
template <class T>
void start_rows(const Gemm& op, T* c, std::int64_t begin, std::int64_t end) {
  const T* bias = static_cast<const T*>(op.epilogue.bias);
  for (std::int64_t m = begin; m < end; ++m) {
    T* row = c + m * op.ldc;
    if (!op.accumulate) {
      if (bias)
        std::copy(bias, bias + op.N, row);
      else
        std::fill(row, row + op.N, T(0));
    } else if (bias) {
      for (std::int64_t n = 0; n < op.N; ++n) row[n] += bias[n];
    }
  }
}

// One row of c: sums over k run in ascending order in either form.
template <class T>
void plain_row(const Gemm& op, const T* a, const T* b, T* row) {
  const std::int64_t step = op.transpose_a ? op.lda : 1;  // from a(m, k) to a(m, k + 1)
  if (!op.transpose_b) {
    for (std::int64_t k = 0; k < op.K; ++k) {
      const T factor = a[k * step];
      const T* b_row = b + k * op.ldb;
      for (std::int64_t n = 0; n < op.N; ++n) row[n] += factor * b_row[n];
    }
    return;
  }
  for (std::int64_t n = 0; n < op.N; ++n) {
    const T* b_row = b + n * op.ldb;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t k = 0; k < op.K; ++k) sum += a[k * step] * b_row[k];
    row[n] += sum;
  }
}

template <class T>
void run_plain(const Gemm& op) {
  const std::int64_t grain =
      std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, op.N * op.K));
  parallel_for(op.batch * op.M, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t product = i / op.M, m = i % op.M;
      const T* a = static_cast<const T*>(op.a) + product * op.stride_a;
      const T* b = static_cast<const T*>(op.b) + product * op.stride_b;
      T* c = static_cast<T*>(op.c) + product * op.stride_c;
      start_rows(op, c, m, m + 1);
      plain_row(op, a + m * (op.transpose_a ? 1 : op.lda), b, c + m * op.ldc);
    }
  });
}

using dnnl::memory;

struct Entry {
  dnnl::primitive product;
  memory::desc a, b, bias, c, scratch;
};

// One operand as oneDNN sees it. In a batch, a zero stride is a batch of one, which it repeats.
memory::desc describe(const Gemm& op, std::int64_t batch_stride, std::int64_t rows,
                      std::int64_t columns, std::int64_t ld, bool transposed) {
  constexpr auto f32 = memory::data_type::f32;
  const std::int64_t down = transposed ? 1 : ld, along = transposed ? ld : 1;
  if (op.batch == 1) return {{rows, columns}, f32, memory::dims{down, along}};
  if (batch_stride == 0) return {{1, rows, columns}, f32, memory::dims{rows * ld, down, along}};
  return {{op.batch, rows, columns}, f32, memory::dims{batch_stride, down, along}};
}

Entry build(const Gemm& op) {
  dnnl::primitive_attr attributes = onednn_attributes();
  if (op.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum(1.0f);
    attributes.set_post_ops(sum);
  }
  Entry e;
  e.a = describe(op, op.stride_a, op.M, op.K, op.lda, op.transpose_a);
  e.b = describe(op, op.stride_b, op.K, op.N, op.ldb, op.transpose_b);
  e.c = describe(op, op.stride_c, op.M, op.N, op.ldc, false);
  if (op.epilogue.bias) {
    const memory::dims extents = op.batch == 1 ? memory::dims{1, op.N} : memory::dims{1, 1, op.N};
    e.bias = {extents, memory::data_type::f32,
              op.batch == 1 ? memory::format_tag::ab : memory::format_tag::abc};
  }
  const dnnl::matmul::desc desc = op.epilogue.bias ? dnnl::matmul::desc(e.a, e.b, e.bias, e.c)
                                                   : dnnl::matmul::desc(e.a, e.b, e.c);
  const dnnl::matmul::primitive_desc pd(desc, attributes, onednn_engine());
  e.product = dnnl::matmul(pd);
  e.scratch = pd.scratchpad_desc();
  return e;
}

std::shared_ptr<const Entry> find(const Gemm& op) {
  static PrimitiveCache<Entry> cache;
  const PrimitiveKey key{op.M,
                         op.N,
                         op.K,
                         op.batch,
                         op.transpose_a,
                         op.transpose_b,
                         op.lda,
                         op.ldb,
                         op.ldc,
                         op.stride_a,
                         op.stride_b,
                         op.stride_c,
                         op.epilogue.bias != nullptr,
                         op.accumulate};
  try {
    return cache.get(key, [&] { return build(op); });
  } catch (const dnnl::error& error) {
    onednn_failed("gemm", error);
  }
}

void run_onednn(const Gemm& op, void* workspace) {
  const auto e = find(op);
  std::unordered_map<int, memory> arguments{
      {DNNL_ARG_SRC, onednn_memory(e->a, op.a)},
      {DNNL_ARG_WEIGHTS, onednn_memory(e->b, op.b)},
      {DNNL_ARG_DST, onednn_memory(e->c, op.c)},
      {DNNL_ARG_SCRATCHPAD, onednn_memory(e->scratch, workspace)}};
  if (op.epilogue.bias) arguments.emplace(DNNL_ARG_BIAS, onednn_memory(e->bias, op.epilogue.bias));
  e->product.execute(onednn_stream(), arguments);
}

bool fits_onednn(const Gemm& op) {
  return op.dtype == DType::f32 && op.batch * op.M * op.N * op.K > 0;
}

}  // namespace

std::vector<const char*> rungs(const Gemm& op) {
  if (!fits_onednn(op)) return {"plain"};
  return {"plain", "onednn"};
}

Plan plan_rung(const Gemm& op, const Device&, std::string_view variant) {
  require(op.dtype == DType::f32 || op.dtype == DType::f64,
          "gemm: dtype expects f32 or f64 on cpu, found {}", op.dtype);
  result_dtype("gemm", "out_dtype", op.dtype, op.out_dtype);
  require(op.epilogue.statistics.mean == nullptr,
          "gemm: on cpu expects no statistics, found some: take them from the result");
  if (variant == "plain") return {"plain"};
  if (variant != "onednn" || !fits_onednn(op)) unknown_rung("gemm", variant, "plain or onednn");
  return {"onednn", find(op)->scratch.get_size()};
}

// What was asked for (kernels/tuning.h), else by size alone.
Plan plan(const Gemm& op, const Device& device) {
  const bool large = fits_onednn(op) && op.M * op.N * op.K > kPlainWork;
  const char* asked = chosen_variant(op, rungs, no_vendor<Gemm>);
  return plan_rung(op, device, asked != nullptr ? asked : large ? "onednn" : "plain");
}

void run(const Gemm& op, const Plan& plan, void* workspace, const Stream&) {
  if (op.batch * op.M * op.N == 0) return;
  if (std::string_view(plan.variant) == "onednn") {
    run_onednn(op, workspace);
  } else {
    with_float(op.dtype, [&]<class T>(Type<T>) { run_plain<T>(op); });
  }
  finish_rows(op.epilogue, op.c, op.dtype, op.batch * op.M, op.N,
              [&](std::int64_t row) { return row / op.M * op.stride_c + row % op.M * op.ldc; });
}

}  // namespace convoy::on_cpu
