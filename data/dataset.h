// SPDX-License-Identifier: MIT
#pragma once
// What the loader reads from: numbered samples, each a picture and its class. Reading is const and
// safe from many threads at once; a sample depends on its index alone.
//
//   Sample s = dataset.get(17);    // s.image, s.label, 0 <= s.label < dataset.num_classes()

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"

namespace convoy::data {

struct Sample {
  Image image;
  std::int32_t label = 0;
};

class Dataset {
 public:
  virtual ~Dataset() = default;

  virtual std::int64_t size() const = 0;
  virtual const std::vector<std::string>& class_names() const = 0;
  int num_classes() const { return static_cast<int>(class_names().size()); }

  // What every image has; height and width are 0 where they differ from file to file.
  virtual ImageExtent extent() const = 0;
  // 0 <= index < size(), else Error. Throws Error of kind data where the file is bad.
  virtual Sample get(std::int64_t index) const = 0;
  virtual std::int32_t label(std::int64_t index) const = 0;
  // Where the sample comes from, for error texts and listings: "val/cat/07.jpg".
  virtual std::string sample_name(std::int64_t index) const = 0;
  // Is getting a sample real work (a file is decoded), worth spreading over threads?
  virtual bool decodes() const { return false; }
  // What the user should know although it is no error: missing batches, unusual counts.
  const std::vector<std::string>& warnings() const { return warnings_; }

 protected:
  void warn(std::string text) { warnings_.push_back(std::move(text)); }

 private:
  std::vector<std::string> warnings_;
};

}  // namespace convoy::data
