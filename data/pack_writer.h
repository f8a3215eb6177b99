// SPDX-License-Identifier: MIT
#pragma once
// Writes a data set as one file (pack_format.h). Equal samples and options give equal bytes,
// whatever the number of workers. Until it is complete the file is called OUTPUT.part; a run that
// was stopped, by whatever, goes on from the records there that are whole, and ends with the bytes
// that it would have written at once.
//
//   write_pack(*open_dataset("image_folder", "photos", "train"), "photos/train.pack",
//              {.root = "photos/train", .split = "train", .workers = 2});

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

// keep: what is stored, as it is. jpeg: decoded, made smaller, encoded again. raw: decoded, made
// smaller, as pixels.
enum class PackFormat : std::uint8_t { keep, jpeg, raw };

struct PackOptions {
  std::filesystem::path root = {};  // sample names in the pack are those below this folder
  std::string split = {};           // "train" …, or nothing
  std::string dataset = {};         // the catalog's name, or nothing
  PackFormat format = PackFormat::keep;
  std::int64_t size = 0;   // of the shorter side; smaller pictures stay as they are; 0: all do
  int quality = 90;        // of jpeg
  std::int64_t limit = 0;  // samples, spread evenly over the data set; 0: all
  bool skip_bad = false;   // leave out what cannot be read, where else it is an error
  int workers = 1;         // threads that read and encode
};

struct PackProgress {
  std::int64_t done = 0, kept = 0, total = 0;  // samples; kept: done by an earlier run
  std::uint64_t bytes = 0;                     // in the file
};

struct PackSummary {
  std::int64_t records = 0, kept = 0;
  std::uint64_t bytes = 0;
  bool complete = false;             // false: stopped, OUTPUT.part is there
  std::vector<std::string> skipped;  // why, in order; those of an earlier run by name alone
};

// `progress` is called after each record and says whether to go on. Throws Error: of kind usage
// for options that do not fit and an output that exists already or is being written; of kind data
// for bad samples, and for files that are not below `root` once links are followed.
PackSummary write_pack(const Dataset& source, const std::filesystem::path& output,
                       const PackOptions& options,
                       const std::function<bool(const PackProgress&)>& progress = {});

}  // namespace convoy::data
