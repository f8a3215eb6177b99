// SPDX-License-Identifier: MIT
#pragma once
// The unfinished file of a pack: records are put at its end, and an earlier run's are taken over
// as far as they are whole. Only one process at a time can have it.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/pack_format.h"

namespace convoy::data {

class PackPart {
 public:
  // `header` is what the file must begin with. An earlier record is kept while `same(record)` says
  // that it is still what would be written; the first that is not ends them. Throws Error of kind
  // usage if the file is of another pack or in use.
  PackPart(std::filesystem::path path, const PackHeader& header,
           const std::function<bool(const PackRecord&)>& same);
  ~PackPart();
  PackPart(const PackPart&) = delete;
  PackPart& operator=(const PackPart&) = delete;

  // Positions of the records so far, ascending.
  const std::vector<std::uint64_t>& positions() const { return positions_; }
  std::uint64_t bytes() const { return bytes_; }

  void append(std::uint64_t position, std::uint32_t label, const ImageExtent& extent,
              std::span<const std::uint8_t> stored);
  // Writes what is still in memory.
  void flush();
  // `names` has one for each record; `texts` are the split, the data set, the classes. Makes
  // everything durable and gives the file its name.
  void finish(const std::vector<std::string>& names, const std::vector<std::string>& texts,
              const std::filesystem::path& output);

 private:
  void take_over(const PackHeader& header, const std::function<bool(const PackRecord&)>& same);
  bool take_record(const PackHeader& header, std::uint64_t size,
                   const std::function<bool(const PackRecord&)>& same);
  void remember(const PackRecord& record);
  void put(std::span<const std::uint8_t> bytes);
  bool read(std::uint64_t offset, std::span<std::uint8_t> bytes) const;
  [[noreturn]] void fail_io(const char* what) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t bytes_ = 0;            // written or waiting
  std::vector<std::uint8_t> waiting_;  // to be written together
  std::vector<PackEntry> entries_;     // without their names
  std::vector<std::uint64_t> positions_;
};

}  // namespace convoy::data
