#include <cstdio>

#include "data/synth.h"
#include "nn/models.h"
#include "nn/optimizer.h"
#include "runtime/ops.h"

using namespace convoy;

int main() {
  auto model = nn::create_model("lenet5", {.in_channels = 3});
  nn::initialize(*model, /*seed=*/1);
  nn::ParameterStore store(*model);
  nn::Optimizer optimizer(store, {.momentum = 0.9});
  for (int step = 0; step <= 300; ++step) {
    std::vector<float> pixels;  // a batch of 40 drawn digits, 28 x 28 pixels in three colours
    std::vector<std::int32_t> labels;
    for (int i = 0; i < 40; ++i) {
      labels.push_back(i % 10);
      for (std::uint8_t p : data::draw_digit(i % 10, data::SynthSplit::train, 1 + step * 4 + i / 10, {.size = 28}).pixels)
        pixels.push_back(p / 127.5f - 1);
    }
    optimizer.begin_step(/*learning_rate=*/0.05);
    const Tensor logits = (*model)(from_vector(pixels, {40, 28, 28, 3}));
    const Tensor loss = cross_entropy(logits, from_vector(labels, {40}));
    loss.backward();
    optimizer.step();
    if (step % 100 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }
}
