// SPDX-License-Identifier: MIT
#pragma once
// IDX files, the format of MNIST and Fashion-MNIST, plain or gzipped (the content tells). Layout,
// as on the MNIST page: bytes 0, 0, type, number of dimensions; each dimension as big-endian u32;
// then the values. Nothing is allocated before the header has been compared with the file's size.
//
//   auto train = open_idx("mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz",
//                         digit_names());

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

struct IdxArray {
  std::uint8_t type = 0;            // 0x08 u8, 09 i8, 0b i16, 0c i32, 0d f32, 0e f64
  std::vector<std::int64_t> dims;   // 1 to 4, each at least 1
  std::vector<std::uint8_t> bytes;  // big-endian values, row-major
};

// Throws Error of kind data that names the byte and the rule.
IdxArray parse_idx(std::span<const std::uint8_t> file, const std::string& name);

// Grey images [n, height, width] and as many labels [n], both u8. Throws Error of kind data if a
// file breaks the format, the counts differ or a label is not below class_names.size().
std::unique_ptr<Dataset> open_idx(const std::filesystem::path& images,
                                  const std::filesystem::path& labels,
                                  std::vector<std::string> class_names);

// The images and labels of a split ("train" or "test") under MNIST's file names, .gz or not.
std::unique_ptr<Dataset> open_mnist(const std::filesystem::path& folder, const std::string& split,
                                    std::vector<std::string> class_names);

}  // namespace convoy::data
