// SPDX-License-Identifier: MIT
#pragma once
// Samples of one size that all stand in memory, one after another: what IDX and CIFAR files become,
// and what tests make by hand.

#include "data/dataset.h"

namespace convoy::data {

struct MemorySamples {
  ImageExtent extent = {};
  std::vector<std::uint8_t> pixels;  // [count, height, width, channels]
  std::vector<std::int32_t> labels;  // [count]
  std::vector<std::string> class_names;
  std::string source;  // the file that they come from, for sample_name
  std::vector<std::string> warnings;
};

class MemoryDataset : public Dataset {
 public:
  // Throws Error if the counts disagree or a label is out of range.
  explicit MemoryDataset(MemorySamples samples);

  std::int64_t size() const override { return static_cast<std::int64_t>(samples_.labels.size()); }
  const std::vector<std::string>& class_names() const override { return samples_.class_names; }
  ImageExtent extent() const override { return samples_.extent; }
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override;
  std::int32_t label(std::int64_t index) const override;
  using Dataset::sample_name;
  void sample_name(std::int64_t index, std::string& out) const override;

 private:
  void check_index(std::int64_t index) const;

  MemorySamples samples_;
};

}  // namespace convoy::data
