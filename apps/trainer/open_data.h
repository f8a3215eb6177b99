// SPDX-License-Identifier: MIT
#pragma once
// From the data flags to a data set and to what the model sees of it: size and normalisation.
//
//   const DataSource source = open_data(config.data, Split::val);

#include <memory>
#include <string>
#include <vector>

#include "apps/trainer/config.h"
#include "data/dataset.h"

namespace convoy::apps {

enum class Split { train, val };

// What the model expects of its input; kept in checkpoints.
struct InputFormat {
  data::ImageExtent extent;      // height, width, channels as the model sees them
  std::vector<float> mean, std;  // per channel, of pixels in [0, 1]
};

struct DataSource {
  std::shared_ptr<const data::Dataset> dataset;
  InputFormat input;
};

// Prints the data set's warnings to standard error. Throws an Error of kind data or usage that says
// what was expected and where it was looked for. `class_names`, if not empty, are the classes that
// the data set must have.
DataSource open_data(const DataConfig& config, Split split,
                     const std::vector<std::string>& class_names = {});

}  // namespace convoy::apps
