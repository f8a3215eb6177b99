// SPDX-License-Identifier: MIT
#pragma once
// What the driver's functions for tensor maps were given, and the elements that a copy by one of
// them touches.

#include <cstddef>
#include <cstdint>
#include <functional>

#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {

struct TensorMapInfo {
  bool im2col = false;
  int rank = 0;
  std::size_t element = 0;  // bytes
  std::uint8_t* data = nullptr;
  std::int64_t extent[5] = {}, stride[5] = {};  // elements; bytes
  std::int64_t box[5] = {}, step[5] = {};       // elements
  int swizzle = 0;                              // bytes of a line; 0: none
  std::int64_t lower[3] = {}, upper[3] = {};    // im2col: corners of the box of base pixels
  std::int64_t channels = 0, pixels = 0;
};

// The opaque map's 128 bytes, which name what is kept here.
void write_map(const TensorMapInfo& info, void* map);
TensorMapInfo read_map(Word address, const Instruction&);

struct TensorCopy {
  TensorMapInfo map;
  std::int64_t at[5] = {};      // coordinates of the first element
  std::int64_t offset[3] = {};  // im2col: of the filter
};

// Of each element of the copy the offset in shared memory, from the copy's begin, before the
// swizzle, and its place: null where it is outside of the tensor.
using Visit = std::function<void(Word offset, std::uint8_t* element)>;
void for_elements(const TensorCopy& copy, const Visit& visit, const Instruction&);

}  // namespace convoy::ptx
