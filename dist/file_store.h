// SPDX-License-Identifier: MIT
#pragma once
// A store in a folder that all ranks see: a file per key, written under a temporary name and
// renamed, so that a reader finds a value whole or not at all. On a network file system names must
// become visible in time (NFS: mount with lookupcache=none).
//
// Each run keeps its values in a folder of its own, so that what an earlier job has left behind is
// never taken for this one's. How ranks agree on it, with numbers that only they have drawn:
//
//   rank r   FOLDER/ask.<r>.<number>              "I am here"
//   rank 0   FOLDER/answer.<number>               "our folder is run-<number of rank 0>"
//   rank r   FOLDER/run-…/here.<r>                "I have understood"; rank 0 waits for all
//   rank 0   FOLDER/run-…/all, or failed          "all have come", or who has not
//
// The last rank to leave removes the run's folder, and that of the job's name if it is empty. Two
// jobs at one time need folders of their own, or names of their own (Place::job).

#include <filesystem>

#include "dist/store.h"

namespace convoy::dist {

class FileStore final : public Store {
 public:
  // Meets the other ranks; throws Error that names who has not come within `timeout`.
  FileStore(const std::filesystem::path& folder, const Place& place,
            std::chrono::milliseconds timeout);
  ~FileStore() override;
  FileStore(const FileStore&) = delete;
  FileStore& operator=(const FileStore&) = delete;

  void set(const std::string& key, const std::string& value) override;
  std::optional<std::string> get(const std::string& key) override;

 private:
  void gather(std::chrono::milliseconds timeout);
  void answer_questions() const;
  void join(std::chrono::milliseconds timeout);
  void await_all(std::chrono::milliseconds timeout) const;
  std::string who_is_missing(std::chrono::milliseconds timeout) const;
  void remove_questions() const;
  bool all_have(const char* mark) const;
  std::filesystem::path mark(const char* name, int rank) const;

  std::filesystem::path folder_, run_;
  bool folder_is_ours_;  // made for the job of that name
  int rank_, world_size_;
};

}  // namespace convoy::dist
