// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/tensor_map.h"

#include <cstring>
#include <mutex>

#include "tests/kernels/ptx/addresses.h"

namespace convoy::ptx {
namespace {

constexpr Word kMark = 0x70616d726f736e65;

struct Opaque {
  Word mark, number, zeros[14];
};
static_assert(sizeof(Opaque) == 128);

std::mutex mutex;
std::vector<TensorMapInfo>& maps() {
  static auto& all = *new std::vector<TensorMapInfo>;
  return all;
}

std::uint8_t* element_at(const TensorMapInfo& m, const std::int64_t (&at)[5],
                         const Instruction& i) {
  std::int64_t offset = at[0] * static_cast<std::int64_t>(m.element);
  for (int d = 0; d < m.rank; ++d) {
    if (at[d] < 0 || at[d] >= m.extent[d]) return nullptr;
    if (d > 0) offset += at[d] * m.stride[d];
  }
  return global_place(reinterpret_cast<Word>(m.data + offset), m.element, i);
}

// The next element of the box, dimension 0 innermost. False: that was the last.
bool advance_in_box(const TensorMapInfo& m, std::int64_t (&index)[5]) {
  for (int d = 0; d < m.rank; ++d) {
    index[d] += d == 0 ? 1 : m.step[d];
    if (index[d] < m.box[d]) return true;
    index[d] = 0;
  }
  return false;
}

void for_tile(const TensorCopy& c, const Visit& visit, const Instruction& i) {
  std::int64_t index[5] = {};
  Word offset = 0;
  do {
    std::int64_t at[5];
    for (int d = 0; d < 5; ++d) at[d] = c.at[d] + index[d];
    visit(offset, element_at(c.map, at, i));
    offset += c.map.element;
  } while (advance_in_box(c.map, index));
}

// The next base pixel: along W, then H, then N. Base pixels lie between the corners, of which the
// upper is counted from the last pixel.
void advance_pixel(const TensorMapInfo& m, std::int64_t (&base)[5]) {
  const int spatial = m.rank - 2;
  for (int d = 0; d < spatial; ++d) {
    base[d + 1] += m.step[d + 1];
    if (base[d + 1] <= m.extent[d + 1] - 1 + m.upper[d]) return;
    base[d + 1] = m.lower[d];
  }
  ++base[spatial + 1];
}

void for_pixels(const TensorCopy& c, const Visit& visit, const Instruction& i) {
  const TensorMapInfo& m = c.map;
  std::int64_t base[5];
  for (int d = 0; d < 5; ++d) base[d] = c.at[d];
  Word offset = 0;
  for (std::int64_t pixel = 0; pixel < m.pixels; ++pixel, advance_pixel(m, base)) {
    std::int64_t at[5] = {base[0], base[1], base[2], base[3], base[4]};
    for (int d = 0; d < m.rank - 2; ++d) at[d + 1] += c.offset[d];
    for (std::int64_t channel = 0; channel < m.channels; ++channel, ++at[0]) {
      visit(offset, element_at(m, at, i));
      offset += m.element;
    }
  }
}

}  // namespace

void write_map(const TensorMapInfo& info, void* map) {
  const std::lock_guard lock(mutex);
  const Opaque opaque{kMark, maps().size(), {}};
  maps().push_back(info);
  std::memcpy(map, &opaque, sizeof opaque);
}

TensorMapInfo read_map(Word address, const Instruction& i) {
  if (address % 64 != 0) fail("expects a tensor map at a multiple of 64", i);
  Opaque opaque;
  std::memcpy(&opaque, global_place(address, sizeof opaque, i), sizeof opaque);
  const std::lock_guard lock(mutex);
  if (opaque.mark != kMark || opaque.number >= maps().size()) fail("expects a tensor map", i);
  return maps()[opaque.number];
}

void for_elements(const TensorCopy& copy, const Visit& visit, const Instruction& i) {
  if (copy.map.im2col) {
    for_pixels(copy, visit, i);
  } else {
    for_tile(copy, visit, i);
  }
}

}  // namespace convoy::ptx
