// SPDX-License-Identifier: MIT
#pragma once
// The JSON object of a safetensors header, taken apart without building anything but the entries.
// What concerns one value alone is checked here (kinds, ranges, duplicates within an object, caps);
// what concerns offsets and sizes, by the caller.

#include <string_view>

#include "nn/safetensors_header.h"

namespace convoy::nn {

inline constexpr std::size_t kLengthBytes = 8;  // before the JSON: its length, little-endian

// Adds the tensors, in the order of the text, and the metadata to `header`. Throws Error (data)
// that names `file`.
void read_header_json(std::string_view json, std::string_view file, SafetensorsHeader& header);

}  // namespace convoy::nn
