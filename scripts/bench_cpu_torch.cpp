// SPDX-License-Identifier: MIT
// PyTorch's side of apps/bench_cpu's `add` and `chain`: the same loops over the wheel's libtorch.
// Compiled by scripts/bench_cpu.py; answers the same commands on standard input.
#include <torch/torch.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <sstream>

namespace {

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double recorded_add(std::int64_t count) {
  const auto a = torch::ones({1}).set_requires_grad(true),
             b = torch::ones({1}).set_requires_grad(true);
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) torch::add(a, b);
  return seconds_since(begin) / static_cast<double>(count);
}

double recorded_chain(std::int64_t count, std::int64_t length) {
  const auto a = torch::ones({1}).set_requires_grad(true),
             b = torch::ones({1}).set_requires_grad(true);
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) {
    torch::Tensor y = a;
    for (std::int64_t j = 0; j < length; ++j) y = torch::add(y, b);
    y.backward();
  }
  return seconds_since(begin) / static_cast<double>(count * length);
}

}  // namespace

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    std::int64_t count = 1, length = 1;
    words >> command >> count >> length;
    std::printf("%.12f\n", command == "add" ? recorded_add(count) : recorded_chain(count, length));
    std::fflush(stdout);
  }
}
