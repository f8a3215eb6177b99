// SPDX-License-Identifier: MIT
#pragma once
// The calls by which this program changes files below a folder: counted, recorded, and each made to
// fail as a disk, a signal or the end of the process would. A program that links file_calls.cpp has
// its functions in place of the C library's.
//
//   FileCalls calls(folder);
//   calls.fail({.call = 7, .fault = FileFault::error, .error = ENOSPC});
//   save(folder / "x");                    // the eighth call fails
//
// Of one thread. The program never waits for a disk: its fsync only records.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace convoy::testing {

enum class FileOperation : std::uint8_t {
  create,
  write,
  sync,
  close,
  rename,
  exchange,
  remove,
  make_folder
};

// One that was done.
struct FileCall {
  FileOperation operation;
  std::filesystem::path path;
  std::filesystem::path to = {};  // of rename and exchange
  std::uint64_t offset = 0;       // of write
  std::string bytes = {};
};

enum class FileFault : std::uint8_t {
  error,       // the call does nothing and says errno
  less,        // a write takes half of what it is given, anything else is done
  end_before,  // the process ends before the call: nothing that follows is done
};

struct FaultPlan {
  int call = -1;
  FileFault fault = FileFault::error;
  int error = 0;
  std::optional<std::uint64_t> space = {};  // bytes that the volume still takes
};

class FileCalls {
 public:
  explicit FileCalls(std::filesystem::path root);
  ~FileCalls();
  FileCalls(const FileCalls&) = delete;
  FileCalls& operator=(const FileCalls&) = delete;

  void fail(const FaultPlan& plan) { plan_ = plan; }
  int count() const { return count_; }
  // What was asked at plan.call, if anything.
  const std::optional<FileOperation>& failed() const { return failed_; }
  const std::vector<FileCall>& done() const { return done_; }

  // For file_calls.cpp: what is to come of the next call.
  struct Answer {
    bool is_done = true;
    int error = 0;
    std::size_t most = ~std::size_t{0};  // bytes of a write
  };
  bool watches(const std::filesystem::path& path) const;
  Answer ask(FileOperation operation, std::size_t bytes = 0);
  void note(FileCall call);

 private:
  std::filesystem::path root_;
  FaultPlan plan_;
  int count_ = 0;
  bool over_ = false;
  std::optional<FileOperation> failed_;
  std::vector<FileCall> done_;
};

}  // namespace convoy::testing
