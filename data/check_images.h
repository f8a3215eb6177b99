// SPDX-License-Identifier: MIT
#pragma once
// Looks at every image of some files, folders and packs: decodes it whole, and reports what does
// not decode, what is unusual, and which files hold the same bytes. What is found comes in the
// order of the paths and then of the names, whatever the number of workers.
//
//   const CheckCounts counts = check_images({"photos"}, {.workers = 2}, on_finding);

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/image.h"

namespace convoy::data {

// bad: it does not decode. leak: the same bytes are in a training and in a held-out split.
enum class FindingClass : std::uint8_t { bad, odd, duplicate, leak };

struct Finding {
  FindingClass kind = FindingClass::bad;
  std::string word;      // "truncated", "cmyk", "duplicate" …
  std::string name;      // "photos/cat/1.jpg", "train.pack: cat/1.jpg"
  std::string text;      // why
  std::string file;      // of a bad file, its path; empty for a pack's records
  std::string relative;  // the same, below the path that was asked for
};

struct CheckOptions {
  int workers = 1;
  DecodeLimits limits = {};
  std::filesystem::path passed_over = {};  // a folder that is not looked into
  std::function<void(std::int64_t done, std::int64_t total)> progress = {};
};

struct CheckCounts {
  std::int64_t images = 0, bad = 0;                 // of images
  std::int64_t odd = 0, duplicates = 0, leaks = 0;  // findings
};

// Of a folder, every file that may be a picture by its name (image_folder.h), and every pack; a
// path that is a file is looked at whatever its name. Throws Error of kind data for a path that is
// not there and for folders without a picture.
CheckCounts check_images(const std::vector<std::filesystem::path>& paths,
                         const CheckOptions& options,
                         const std::function<void(const Finding&)>& on_finding);

// Moves a file to folder/relative, or, where that is taken, to the first of "name.1.jpg",
// "name.2.jpg" … that is not. Returns where it is now. Throws Error.
std::filesystem::path set_aside(const std::filesystem::path& file,
                                const std::filesystem::path& folder, const std::string& relative);

}  // namespace convoy::data
