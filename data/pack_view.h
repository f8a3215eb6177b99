// SPDX-License-Identifier: MIT
#pragma once
// Reads a pack's bytes (pack_format.h), wherever they are. The file is treated as hostile: every
// number is compared with the file's size before it is used, and nothing is allocated that the
// file does not hold itself.
//
//   PackView view(file.bytes(), "train.pack");
//   view.check_record(7);
//   Stored s = view.stored(7);

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"
#include "data/pack_format.h"

namespace convoy::data {

class PackView {
 public:
  // Reads all but the records. Throws Error of kind data that says the offset, what was expected
  // and what was found.
  PackView(std::span<const std::uint8_t> file, std::string name);

  std::int64_t size() const { return static_cast<std::int64_t>(footer_.records); }
  const std::string& name() const { return name_; }
  // What the source was: "train", "val" …, or empty.
  const std::string& split() const { return texts_[0]; }
  // The catalog's name of it: "cifar10" …, or empty.
  const std::string& dataset() const { return texts_[1]; }
  const std::vector<std::string>& class_names() const { return class_names_; }
  const ImageExtent& extent() const { return extent_; }

  // 0 <= index < size(), else Error.
  std::int32_t label(std::int64_t index) const;
  std::string_view sample_name(std::int64_t index) const;  // "cat/07.jpg"
  Stored stored(std::int64_t index) const;
  // Throws Error of kind data if the record is not the one that was written.
  void check_record(std::int64_t index) const;

 private:
  void read_footer();
  void read_index();
  void read_texts(std::uint64_t offset);
  void check_entry(std::uint64_t index, std::uint64_t expected_offset, std::uint64_t name_start);
  PackEntry entry(std::uint64_t index) const;
  PackEntry entry_at(std::int64_t index) const;
  std::string_view text(std::uint64_t offset, std::uint64_t bytes) const;

  std::span<const std::uint8_t> file_;
  std::string name_;
  PackFooter footer_;
  ImageExtent extent_;
  std::vector<std::string> texts_;  // the split, the data set
  std::vector<std::string> class_names_;
};

}  // namespace convoy::data
