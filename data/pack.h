// SPDX-License-Identifier: MIT
#pragma once
// Packs: a data set in one file, as `convoy pack` writes it (pack_writer.h) and pack_format.h
// describes it. Image files are stored as they are, or pixels. The file is mapped into memory; it
// must not be changed or cut while it is in use (mapped_file.h). A record's checksum is compared
// when the record is first read.
//
//   auto train = open_pack("photos/train.pack", "train");

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

// Does the file start as a pack does? False where it cannot be read.
bool is_pack(const std::filesystem::path& path);

// What a pack says of its source; either may be empty. Throws Error of kind data.
struct PackSource {
  std::string split;    // "train", "val" …
  std::string dataset;  // a name of the catalog: "cifar10"
};
PackSource pack_source(const std::filesystem::path& path);

// `split`, if not empty, is what the pack must be of, where it says what it is of: "train", or one
// of the held-out ones, which mean the same. `class_names`, if not empty, are the classes that it
// must have. Throws Error of kind data.
std::unique_ptr<Dataset> open_pack(const std::filesystem::path& path, const std::string& split = "",
                                   const std::vector<std::string>& class_names = {},
                                   const DecodeLimits& limits = {});

}  // namespace convoy::data
