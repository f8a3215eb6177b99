// SPDX-License-Identifier: MIT
#pragma once
// A folder of pictures with a folder per class: root/dog/1.jpg, root/cat/x/2.png. Classes are
// numbered in the byte order of their names, samples by class and then by path, so that the
// numbering is the same on every machine. Files are opened when a sample is asked for, and what
// format they have is told by their content.
//
//   auto train = open_image_folder("photos", "train");    // photos/train/<class>/...

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

// Reads root/split, or root itself where `split` is empty. Hidden files and names that end in .txt,
// .md, .csv, .json, .html, .ini or .db are no pictures
// and are passed over. If `class_names` is not empty, the classes must be exactly those, so that
// two splits are sure to number alike. Throws Error of kind data: a missing directory, no class, a
// class without a picture (named), other classes than expected (named).
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& split,
                                           const std::vector<std::string>& class_names = {},
                                           const DecodeLimits& limits = {});

// By its name alone: false for hidden files and for the endings above.
bool may_be_picture(const std::filesystem::path& path);

}  // namespace convoy::data
