// SPDX-License-Identifier: MIT
#pragma once
// A data set whose samples say which they are, and what a loader gives of it.

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "data/loader.h"
#include "kernels/require.h"

namespace convoy::data::testing {

// Images of 3 x 2 pixels and one channel, all of the value of their index; decoded "slowly".
class Numbered : public Dataset {
 public:
  explicit Numbered(std::int64_t size, ImageExtent extent = {3, 2, 1}, std::int64_t bad = -1)
      : size_(size), extent_(extent), bad_(bad) {}
  std::int64_t size() const override { return size_; }
  const std::vector<std::string>& class_names() const override { return names_; }
  ImageExtent extent() const override { return extent_; }
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
    if (bad_ >= 0 && index >= bad_) fail_data("sample {} is bad", index);
    scratch.assign(static_cast<std::size_t>(extent_.count()), static_cast<std::uint8_t>(index));
    return {scratch, extent_};
  }
  std::int32_t label(std::int64_t index) const override {
    return static_cast<std::int32_t>(index % 3);
  }
  void sample_name(std::int64_t index, std::string& out) const override {
    out = fmt::format("[{}]", index);
  }
  bool decodes() const override { return true; }

 private:
  std::int64_t size_;
  ImageExtent extent_;
  std::int64_t bad_;
  std::vector<std::string> names_{"a", "b", "c"};
};

struct Epoch {
  std::vector<std::int64_t> indices;
  std::vector<std::uint8_t> images;
  std::vector<std::int32_t> labels;
  std::vector<ImageRow> rows;
  friend bool operator==(const Epoch&, const Epoch&) = default;
};

inline Epoch rest_of_epoch(Loader& loader) {
  Epoch e;
  while (const Batch* b = loader.next()) {
    e.indices.insert(e.indices.end(), b->indices.begin(), b->indices.end());
    e.images.insert(e.images.end(), b->images.begin(), b->images.end());
    e.labels.insert(e.labels.end(), b->labels.begin(), b->labels.end());
    e.rows.insert(e.rows.end(), b->row.begin(), b->row.end());
  }
  return e;
}

inline Epoch run(std::int64_t size, const LoaderOptions& options, std::int64_t epoch) {
  Loader loader(std::make_shared<Numbered>(size), options);
  loader.start(epoch);
  return rest_of_epoch(loader);
}

// Samples take their time, another one for each index and run.
class Slow : public Numbered {
 public:
  explicit Slow(std::int64_t size, std::uint32_t run, std::int64_t bad = -1)
      : Numbered(size, {3, 2, 1}), run_(run), bad_(bad) {}
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
    const std::uint32_t wait = philox_below({run_, 1}, 0, static_cast<std::uint64_t>(index), 64);
    if (wait < 8) std::this_thread::sleep_for(std::chrono::microseconds(10 * wait));
    if (index == bad_) fail_data("sample {} is bad", index);
    return Numbered::stored(index, scratch);
  }

 private:
  std::uint32_t run_;
  std::int64_t bad_;
};

}  // namespace convoy::data::testing
