// SPDX-License-Identifier: MIT
#pragma once
// What the loader reads from: numbered samples, each a picture and its class. Reading is const and
// safe from many threads at once; a sample depends on its index alone. A worker that reads many
// samples takes what is stored and decodes it with memory of its own; get() is for the others.
//
//   Sample s = dataset.get(17);    // s.image, s.label, 0 <= s.label < dataset.num_classes()
//   Stored s = dataset.stored(17, scratch);    // s.bytes: pixels, or a file to decode

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"

namespace convoy::data {

struct Sample {
  Image image;
  std::int32_t label = 0;
};

// What is stored of a sample: pixels [height, width, channels], or where `extent` is zero the bytes
// of an image file.
struct Stored {
  std::span<const std::uint8_t> bytes;
  ImageExtent extent = {};
  bool is_file() const { return extent == ImageExtent{}; }
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  int num_classes() const { return static_cast<int>(class_names().size()); }

  // What every image has; height and width are 0 where they differ from file to file.
  virtual ImageExtent extent() const = 0;
  // 0 <= index < size(), else Error; so for all that take an index. Throws Error of kind data where
  // the sample cannot be read. Allocates nothing once `scratch` has grown; the bytes hold until
  // `scratch` is changed or the data set goes.
  virtual Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const = 0;
  // What is stored, decoded, in the data set's channels. Throws Error of kind data where it is bad.
  Sample get(std::int64_t index) const;
  virtual std::int32_t label(std::int64_t index) const = 0;
  // Where the sample comes from, for error texts and listings: "val/cat/07.jpg".
  // Into a string that the caller keeps, or as a new one.
  virtual void sample_name(std::int64_t index, std::string& out) const = 0;
  std::string sample_name(std::int64_t index) const;
  // Is getting a sample real work (a file is decoded), worth spreading over threads?
  virtual bool decodes() const { return false; }
  // What the user should know although it is no error: missing batches, unusual counts.
  const std::vector<std::string>& warnings() const { return warnings_; }
  void warn(std::string text) { warnings_.push_back(std::move(text)); }
  // What a file that is stored is to be decoded with.
  const DecodeLimits& limits() const { return limits_; }

 protected:
  explicit Dataset(const DecodeLimits& limits = {}) : limits_(limits) {}

 private:
  std::vector<std::string> warnings_;
  DecodeLimits limits_;
};

}  // namespace convoy::data
