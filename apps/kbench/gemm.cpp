// SPDX-License-Identifier: MIT
// Matrix products as a linear layer has them, with M, N and K those of the product itself:
//   forward          nt   x [M, K] by weight [N, K]
//   backward_input   nn   dy [M, K] by weight [K, N]
//   backward_weight  tn   dy [K, M] by x [K, N]
#include "kernels/gemm.h"

#include "apps/kbench/make.h"

namespace convoy::kbench {
namespace {

struct Product {
  std::string name;
  std::int64_t M, N, K;
};

std::vector<Product> products(const Request& request) {
  if (request.has("m") || request.has("n") || request.has("k")) {
    const std::int64_t m = request.size("m", 1024, 0), n = request.size("n", 1024, 0),
                       k = request.size("k", 1024, 0);
    for (const auto& operand : {std::pair{m, k}, {k, n}, {m, n}}) {
      require_countable({operand.first, operand.second});
    }
    return {{"axes", m, n, k}};
  }
  // The convolutions of the CIFAR recipe (apps/kbench/conv2d.cpp) at batch 2000, as products.
  if (request.shapes == "cifar") {
    return {{"whiten", 1922000, 24, 12},        {"group1.conv1", 1922000, 64, 216},
            {"group1.conv2", 450000, 64, 576},  {"group2.conv1", 450000, 256, 576},
            {"group2.conv2", 98000, 256, 2304}, {"group3.conv2", 18000, 256, 2304}};
  }
  std::vector<Product> all;
  for (const std::int64_t n : {512, 1024, 2048, 4096, 8192}) {
    all.push_back({std::to_string(n), n, n, n});
  }
  return all;
}

struct Layout {
  const char *pass, *name;
  bool transpose_a, transpose_b;
};
constexpr Layout kLayouts[] = {{"forward", "nt", false, true},
                               {"backward_input", "nn", false, false},
                               {"backward_weight", "tn", true, false}};

Problem make(const Request& request, const Product& p, const Layout& layout) {
  Problem problem{.op = "gemm",
                  .pass = layout.pass,
                  .name = p.name + " " + layout.name,
                  .sizes = {{"m", p.M}, {"n", p.N}, {"k", p.K}},
                  .dtype = request.dtype};
  const auto memory = problem.memory = std::make_shared<Operands>(request.device);
  const int a = memory->input(request.dtype, p.M * p.K);
  const int b = memory->input(request.dtype, p.K * p.N);
  const int c = memory->output(request.dtype, p.M * p.N);
  const auto m = static_cast<double>(p.M), n = static_cast<double>(p.N),
             k = static_cast<double>(p.K);
  problem.operations = 2 * m * n * k;
  if (m * n > 0) {
    problem.bytes = (m * k + k * n + m * n) * static_cast<double>(size_of(request.dtype));
  }
  bind(problem, request.device, [=, dtype = request.dtype, m = memory.get()](int set) {
    return dense_gemm(p.M, p.N, p.K, m->data(a, set), layout.transpose_a, m->data(b, set),
                      layout.transpose_b, m->data(c, set), dtype);
  });
  problem.expected = [=] {
    const HostValues &left = memory->drawn(a), &right = memory->drawn(b);
    const auto reference = [=, &left, &right](std::int64_t i) {
      double sum = 0;
      for (std::int64_t j = 0; j < p.K; ++j) {
        sum += left[layout.transpose_a ? j * p.M + i / p.N : i / p.N * p.K + j] *
               right[layout.transpose_b ? i % p.N * p.K + j : j * p.N + i % p.N];
      }
      return sum;
    };
    return std::vector<Expected>{{c, k, 1, k, reference}};
  };
  return problem;
}

}  // namespace

std::vector<MakeProblem> gemm_problems(const Request& request) {
  std::vector<MakeProblem> all;
  for (const Product& product : products(request)) {
    for (const Layout& layout : kLayouts) {
      if (!request.wants_pass(layout.pass)) continue;
      if (product.name.find(request.filter) == std::string::npos) continue;
      all.push_back([=] { return make(request, product, layout); });
    }
  }
  return all;
}

}  // namespace convoy::kbench
