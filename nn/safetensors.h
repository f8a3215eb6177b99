// SPDX-License-Identifier: MIT
#pragma once
// Reading and writing safetensors files, as raw bytes with a name, a dtype and a shape; weights.h
// puts them into models. Reading refuses whatever safetensors_header.h lists. Writing gives the
// reference writer's bytes: dtype descending, then name; the header padded with spaces to 8 bytes.
// Equal content gives equal files, under their name only once they are complete (atomic_file.h).
//
//   write_safetensors("w.safetensors", {{"fc.bias", StoredType::F32, {10}, bytes_of(bias)}});
//   SafetensorsReader file("w.safetensors");
//   std::vector<std::byte> bytes = file.read(*file.header().find("fc.bias"));

#include <filesystem>
#include <vector>

#include "nn/safetensors_header.h"
#include "runtime/atomic_file.h"
#include "runtime/input_file.h"

namespace convoy::nn {

class SafetensorsReader {
 public:
  explicit SafetensorsReader(const std::filesystem::path& path,
                             Strictness strictness = Strictness::lenient);

  const std::string& path() const { return file_.path(); }
  const SafetensorsHeader& header() const { return header_; }
  // The tensor of this name. Throws Error (data) that names the file if it has none.
  const TensorEntry& entry(std::string_view name) const;

  // The bytes of an entry of this file. A BOOL that is neither 0 nor 1 is an error, and so is a
  // file that changed since it was opened. `bytes` expects entry.bytes() of them.
  void read(const TensorEntry& entry, std::span<std::byte> bytes) const;
  std::vector<std::byte> read(const TensorEntry& entry) const;

 private:
  InputFile file_;
  SafetensorsHeader header_;
};

// What is written of a tensor; the bytes are borrowed.
struct StoredTensor {
  std::string name;
  StoredType dtype = StoredType::F32;
  std::vector<std::uint64_t> shape;
  std::span<const std::byte> bytes;
};

// Throws Error if names repeat, are empty or not UTF-8, or if bytes do not fit a shape. Returns
// what a manifest needs.
struct WrittenFile {
  std::uint64_t bytes = 0;
  std::uint32_t crc32c = 0;
};
WrittenFile write_safetensors(const std::filesystem::path& path, std::vector<StoredTensor> tensors,
                              const std::map<std::string, std::string>& metadata = {});

// The first part of such a file: length, JSON and padding. `tensors` in the order of writing.
std::string encode_safetensors_header(std::span<const StoredTensor> tensors,
                                      const std::map<std::string, std::string>& metadata);

}  // namespace convoy::nn
