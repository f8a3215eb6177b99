// SPDX-License-Identifier: MIT
#pragma once
// Small data sets and the packs of them.

#include <memory>

#include "data/image_folder.h"
#include "data/memory_dataset.h"
#include "data/pack.h"
#include "data/pack_writer.h"
#include "tests/data/files.h"

namespace convoy::data::testing {

// Neighbouring pixels differ, as do images of different seeds.
inline Image patterned(std::int64_t height, std::int64_t width, int seed) {
  Image image({height, width, 3});
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] =
        static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(seed) * 31) % 251);
  }
  return image;
}

// `count` JPEG files of differing sizes in two classes, below folder/set.
inline std::unique_ptr<Dataset> jpeg_folder(const TempFolder& folder, int count) {
  for (int i = 0; i < count; ++i) {
    const Bytes file = encode_jpeg(patterned(9 + i % 5, 20 - i % 7, i), 80);
    folder.write(fmt::format("set/{}/{:03}.jpg", i % 2 == 0 ? "cat" : "dog", i), file);
  }
  return open_image_folder(folder.path() / "set", "");
}

inline PackOptions below_set(const TempFolder& folder, PackFormat format = PackFormat::keep) {
  return {.root = folder.path() / "set", .split = "train", .format = format};
}

inline Bytes file_bytes(const std::filesystem::path& path) { return read_file(path, 1 << 30); }

// Three records: 2 x 3 grey pixels of two classes.
inline Bytes tiny_pack(const TempFolder& folder) {
  const MemoryDataset set({{2, 3, 1},
                           {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26},
                           {1, 0, 1},
                           {"cat", "dog"},
                           (folder.path() / "images").string(),
                           {}});
  const auto path = folder.path() / "tiny.pack";
  write_pack(set, path, {.root = folder.path(), .split = "train", .dataset = "mnist"});
  return file_bytes(path);
}

}  // namespace convoy::data::testing
