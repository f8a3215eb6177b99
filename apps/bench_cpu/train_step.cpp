// SPDX-License-Identifier: MIT
// A whole training step of a network on random images: forward, loss, backward, SGD with momentum
// and weight decay, as scripts/bench_cpu.py does it in PyTorch.
#include <chrono>

#include "apps/bench_cpu/bench.h"
#include "nn/models.h"
#include "nn/optimizer.h"
#include "nn/parameter_store.h"
#include "runtime/ops.h"
#include "runtime/seconds.h"

namespace convoy::bench {
namespace {

Tensor random_images(std::int64_t batch, std::int64_t size) {
  std::vector<float> values(static_cast<std::size_t>(batch * size * size * 3));
  fill_random(values.data(), values.size());
  return from_vector(values, {batch, size, size, 3});
}

Tensor labels(std::int64_t batch, std::int64_t classes) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(batch));
  for (std::int64_t i = 0; i < batch; ++i) values[static_cast<std::size_t>(i)] = i * 7 % classes;
  return from_vector(values, {batch});
}

}  // namespace

struct TrainStep::State {
  State(const std::string& name, std::int64_t batch, std::int64_t size)
      : model(nn::create_model(name)),
        store(*model),
        optimizer(store, {.momentum = 0.9, .weight_decay = 1e-4}),
        images(random_images(batch, size)),
        target(labels(batch, nn::model_info(name).num_classes)) {
    nn::initialize(*model, 1);
  }
  std::unique_ptr<nn::Module> model;
  nn::ParameterStore store;
  nn::Optimizer optimizer;
  Tensor images, target;
};

TrainStep::TrainStep(const std::string& model, std::int64_t batch, std::int64_t size)
    : state_(std::make_unique<State>(model, batch, size)) {}
TrainStep::~TrainStep() = default;

double TrainStep::run() {
  const auto begin = std::chrono::steady_clock::now();
  state_->optimizer.begin_step(0.01);
  const Tensor loss = cross_entropy(state_->model->forward(state_->images), state_->target);
  loss.backward();
  state_->optimizer.step();
  loss_ = loss.item();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// As scripts/bench_cpu_torch.cpp does it.
double recorded_add(std::int64_t count) {
  const Tensor a = full({1}, 1.0).set_requires_grad(true),
               b = full({1}, 2.0).set_requires_grad(true);
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) add(a, b);
  return seconds_since(begin) / static_cast<double>(count);
}

double recorded_chain(std::int64_t count, std::int64_t length) {
  const Tensor a = full({1}, 1.0).set_requires_grad(true),
               b = full({1}, 2.0).set_requires_grad(true);
  const auto begin = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < count; ++i) {
    Tensor y = a;
    for (std::int64_t j = 0; j < length; ++j) y = add(y, b);
    y.backward();
  }
  return seconds_since(begin) / static_cast<double>(count * length);
}

}  // namespace convoy::bench
