// SPDX-License-Identifier: MIT
#pragma once
// What there is to look at below some paths (check_images.h): files, and the samples of packs and
// of data sets that keep their images in files of their own.
//
//   for (const CheckItem& item : items_to_check({"photos"}, "aside")) look(item);

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

// A file, or a sample of a pack or of a data set in files of its own.
struct CheckItem {
  std::string file, relative;
  std::shared_ptr<const Dataset> set = nullptr;
  std::int64_t index = 0;  // in it
  std::string split = {};  // of it
  std::string fault = {};  // why a data set cannot be opened
  bool is_file = true;     // and can be moved by itself

  std::string name() const { return set ? set->sample_name(index) : file; }
};

// "train" or "held out", by the last folder of its path, or by the pack's or data set's own word;
// "" where nothing says it.
std::string split_of(const CheckItem& item);

// In the order of the paths, then of the names. Files below `passed_over` are left out, and each is
// there once. Throws Error of kind data for a path that is not there and a folder without pictures.
std::vector<CheckItem> items_to_check(const std::vector<std::filesystem::path>& paths,
                                      const std::filesystem::path& passed_over);

}  // namespace convoy::data
