// SPDX-License-Identifier: MIT
#include "data/dataset.h"

namespace convoy::data {

Sample Dataset::get(std::int64_t index) const {
  std::vector<std::uint8_t> scratch;
  const Stored s = stored(index, scratch);
  if (s.is_file()) {
    return {with_channels(decode_image(s.bytes, sample_name(index), limits_), extent().channels),
            label(index)};
  }
  Sample sample{Image(s.extent), label(index)};
  sample.image.pixels.assign(s.bytes.begin(), s.bytes.end());
  return sample;
}

std::string Dataset::sample_name(std::int64_t index) const {
  std::string name;
  sample_name(index, name);
  return name;
}

}  // namespace convoy::data
