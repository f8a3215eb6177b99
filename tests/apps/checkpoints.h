// SPDX-License-Identifier: MIT
#pragma once
// A model of a few KiB whose weights and state are told by a number, and the checkpoints of it.

#include <cmath>
#include <cstdlib>
#include <map>

#include "apps/trainer/checkpoint.h"
#include "nn/init.h"
#include "tests/support/compare.h"
#include "tests/support/temporary_folder.h"

namespace convoy::testing {

namespace fs = std::filesystem;

// Thousands of small files: in memory, where that may be had.
inline const bool kInMemory =
    fs::is_directory("/dev/shm") && setenv("TMPDIR", "/dev/shm", /*replace=*/0) == 0;

class TwoParameters : public nn::Module {
 public:
  TwoParameters() {
    add_parameter("weight", {60, 50}, nn::Init::constant(0));
    add_parameter("bias", {7}, nn::Init::constant(0));
  }
  Tensor forward(const Tensor& x) override { return x; }
};

struct Checkpointed {
  TwoParameters model;
  nn::ParameterStore store{model};
  nn::Optimizer optimizer{store, {.momentum = 0.9}};
  nn::Ema ema{store, {}};

  // All values are those of `number`.
  void save(const fs::path& output, std::int64_t step, std::uint32_t number, int keep = 1) {
    std::uint32_t seed = 1000 * number;
    const auto fill = [&](const std::vector<nn::NamedTensor>& tensors) {
      for (const nn::NamedTensor& t : tensors) {
        const auto values = random_values<float>(t.tensor.count(), ++seed);
        t.tensor.detach().copy_(from_vector(values, t.tensor.shape()));
      }
    };
    store.load_weights(model, fill);
    optimizer.load_state(fill);
    ema.load(model, fill);
    apps::CheckpointState state;
    state.model = "two_parameters";
    state.input = {{28, 28, 1}, {0.5f}, {0.25f}};
    state.seed = number;
    state.step = step;
    apps::save_checkpoint(output, state, {model, store, optimizer, &ema}, keep);
  }
};

// Name and bytes of each file of a checkpoint; none: empty.
using Files = std::map<std::string, std::string>;
inline Files files_of(const fs::path& checkpoint) {
  Files files;
  for (const auto& entry : fs::directory_iterator(checkpoint)) {
    files[entry.path().filename().string()] = file_text(entry.path());
  }
  return files;
}

}  // namespace convoy::testing
