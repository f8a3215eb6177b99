// SPDX-License-Identifier: MIT
#pragma once
// What a disk may hold after the power went, from a record of the calls that changed it
// (file_calls.h). Until a file is synced any of the 4 KiB blocks written to it may be there or not;
// until a folder is synced the names in it may be as they were after any of its changes. So a name
// may come back without content, and content without its name.
//
//   Disk disk(folder);                          // all that is there now has been synced
//   for (...) disk.apply(call);
//   disk.write_survivors(random, elsewhere);    // one of the possible states

#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support/file_calls.h"

namespace convoy::testing {

class Disk {
 public:
  explicit Disk(std::filesystem::path root);
  void apply(const FileCall& call);
  void write_survivors(std::mt19937& random, const std::filesystem::path& to) const;

 private:
  using Names = std::map<std::string, int>;
  struct Written {
    std::uint64_t offset;
    std::string bytes;
  };
  // A file or folder: as it is for sure, and what has been done to it since.
  struct Node {
    bool is_folder = false;
    std::string content = {};
    std::vector<Written> writes = {};
    std::vector<Names> names = {Names()};  // the first for sure, the last as it is now
  };
  int load(const std::filesystem::path& path);
  int find(const std::filesystem::path& path) const;
  void change(const std::filesystem::path& path, int node);  // -1: the name goes
  void rename(const FileCall& call);
  void sync(Node& node);
  static std::string survivor(std::mt19937& random, const Node& file);
  void write_survivors(std::mt19937& random, int node, const std::filesystem::path& to) const;

  std::filesystem::path root_;
  std::vector<Node> nodes_;
};

}  // namespace convoy::testing
