// SPDX-License-Identifier: MIT
#pragma once
// What tests on real data share: where it is, and what the pretrained network says of it.

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/apps/program.h"

namespace convoy::testing {

inline const fs::path kData = place("CONVOY_DATA", CONVOY_DATA);

#define SKIP_WITHOUT(folder)       \
  if (!fs::exists(kData / folder)) \
  GTEST_SKIP() << "no real data: " << kData / folder << " is absent (set CONVOY_DATA)"

// The logits [count, 10] that --save-logits wrote: the last bytes of the file.
inline std::vector<float> read_logits(const std::string& file, std::size_t count) {
  std::vector<float> values(count);
  if (file.size() >= 4 * count) {
    std::memcpy(values.data(), file.data() + file.size() - 4 * count, 4 * count);
  }
  return values;
}

// What the network says of the first batches of 128 test images.
inline std::vector<std::size_t> predictions(const Folder& folder, const std::string& flags,
                                            int batches) {
  const Outcome eval = convoy_run(
      folder,
      "eval --model resnet20 --dataset cifar10 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
      "--batch-size 128 --save-logits logits.safetensors --checkpoint " +
          (kData / "pretrained/resnet20.safetensors").string() + " --data-dir " +
          (kData / "cifar10").string() + " --limit-val-batches " + std::to_string(batches) + " " +
          flags);
  EXPECT_EQ(eval.code, 0) << eval.err;
  const std::vector<float> logits = read_logits(read_file(folder / "logits.safetensors"),
                                                static_cast<std::size_t>(batches) * 1280);
  std::vector<std::size_t> classes;
  for (auto row = logits.begin(); row < logits.end(); row += 10) {
    classes.push_back(static_cast<std::size_t>(std::max_element(row, row + 10) - row));
  }
  return classes;
}

// How many of the images, as many as were found, are another class than expected.
inline int changed(const std::vector<std::size_t>& found,
                   const std::vector<std::size_t>& expected) {
  int count = 0;
  for (std::size_t i = 0; i < found.size(); ++i) count += found[i] != expected[i];
  return count;
}

}  // namespace convoy::testing
