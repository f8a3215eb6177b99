// SPDX-License-Identifier: MIT
#include "data/batch.h"

#include "kernels/require.h"

namespace convoy::data {

namespace {

// Where the parts of a batch lie in its memory, in bytes: first what says something about the rows,
// then the pictures.
struct Layout {
  explicit Layout(std::int64_t rows);
  std::size_t indices, labels, row, images;
};

Layout::Layout(std::int64_t rows) {
  constexpr std::size_t kLine = 256;  // where a copy starts best
  const auto n = static_cast<std::size_t>(rows);
  indices = 0;
  labels = indices + n * sizeof(std::int64_t);
  row = labels + n * sizeof(std::int32_t);
  images = (row + n * sizeof(ImageRow) + kLine - 1) / kLine * kLine;
}

}  // namespace

BatchMemory::BatchMemory(const Device& device, std::int64_t rows, const ImageExtent& extent,
                         bool pixels)
    : memory_(device,
              Layout(rows).images + (pixels ? static_cast<std::size_t>(rows * extent.count()) : 0)),
      read_(device) {
  const Layout at(rows);
  const auto n = static_cast<std::size_t>(rows);
  auto* base = static_cast<std::byte*>(memory_.data());
  batch_.rows = batch_.valid = rows;
  batch_.extent = extent;
  batch_.indices = {reinterpret_cast<std::int64_t*>(base + at.indices), n};
  batch_.labels = {reinterpret_cast<std::int32_t*>(base + at.labels), n};
  batch_.row = {reinterpret_cast<ImageRow*>(base + at.row), n};
  if (pixels) {
    batch_.images = {reinterpret_cast<std::uint8_t*>(base + at.images),
                     n * static_cast<std::size_t>(extent.count())};
  }
  batch_.read = &read_;
}

// A copy must not outlive what it reads from.
BatchMemory::~BatchMemory() { read_.settle(); }

}  // namespace convoy::data
