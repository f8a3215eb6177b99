// SPDX-License-Identifier: MIT
#include "data/memory_dataset.h"

#include <iterator>

#include "kernels/require.h"

namespace convoy::data {

MemoryDataset::MemoryDataset(MemorySamples samples) : samples_(std::move(samples)) {
  const auto expected = static_cast<std::size_t>(samples_.extent.count()) * samples_.labels.size();
  require(samples_.pixels.size() == expected, "{}: {} labels of {} expect {} bytes, found {}",
          samples_.source, samples_.labels.size(), samples_.extent, expected,
          samples_.pixels.size());
  for (std::size_t i = 0; i < samples_.labels.size(); ++i) {
    require(samples_.labels[i] >= 0 && samples_.labels[i] < num_classes(),
            "{}: label of sample {} expects 0 to {}, found {}", samples_.source, i,
            num_classes() - 1, samples_.labels[i]);
  }
  for (std::string& text : samples_.warnings) warn(std::move(text));
}

Stored MemoryDataset::stored(std::int64_t index, std::vector<std::uint8_t>&) const {
  check_index(index);
  const auto bytes = static_cast<std::size_t>(samples_.extent.count());
  return {std::span(samples_.pixels).subspan(static_cast<std::size_t>(index) * bytes, bytes),
          samples_.extent};
}

std::int32_t MemoryDataset::label(std::int64_t index) const {
  check_index(index);
  return samples_.labels[static_cast<std::size_t>(index)];
}

void MemoryDataset::sample_name(std::int64_t index, std::string& out) const {
  check_index(index);
  out.clear();
  fmt::format_to(std::back_inserter(out), "{}[{}]", samples_.source, index);
}

void MemoryDataset::check_index(std::int64_t index) const {
  require(index >= 0 && index < size(), "{}: index expects 0 to {}, found {}", samples_.source,
          size() - 1, index);
}

}  // namespace convoy::data
