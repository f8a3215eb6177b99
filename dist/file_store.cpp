// SPDX-License-Identifier: MIT
#include "dist/file_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

#include "dist/patience.h"
#include "dist/store_entry.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

namespace fs = std::filesystem;

// Drawn anew in each process: no two jobs have the same.
std::string fresh_number() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// Any bytes as a file's name: letters, digits, '-' and '_' stand for themselves.
std::string as_name(const std::string& text) {
  std::string name;
  for (const unsigned char c : text) {
    if (std::isalnum(c) || c == '-' || c == '_') {
      name += static_cast<char>(c);
    } else {
      name += fmt::format("%{:02x}", c);
    }
  }
  return name;
}

// A file's name has 255 bytes at most: a long one goes on in folders, whose names end in '+'.
fs::path key_path(const fs::path& run, const std::string& key) {
  constexpr std::size_t kPiece = 200;
  std::string name = "key." + as_name(key);
  fs::path path = run;
  for (; name.size() > kPiece; name.erase(0, kPiece)) path /= name.substr(0, kPiece) + "+";
  return path / name;
}

[[noreturn]] void fail_io(const char* what, const fs::path& path) {
  fail("store: could not {} '{}': {}", what, path.string(), std::strerror(errno));
}

void write_whole(const fs::path& path, const fs::path& folder, const std::string& text) {
  const fs::path temporary = folder / ("new." + fresh_number());
  std::ofstream out(temporary, std::ios::binary);
  out.write(text.data(), std::ssize(text));
  out.close();
  if (!out) fail_io("write", temporary);
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_io("rename to", path);
}

std::optional<std::string> read_whole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

FileStore::FileStore(const fs::path& folder, const Place& place, std::chrono::milliseconds timeout)
    : folder_(place.job.empty() ? folder : folder / ("job-" + as_name(place.job))),
      folder_is_ours_(!place.job.empty()),
      rank_(place.rank),
      world_size_(place.world_size) {
  std::error_code error;
  fs::create_directories(folder_, error);
  require(!error, "store: could not make the folder '{}': {}", folder_.string(), error.message());
  if (rank_ == 0) {
    gather(timeout);
  } else {
    join(timeout);
  }
}

FileStore::~FileStore() {
  try {
    write_whole(mark("left", rank_), run_, "");
    if (!all_have("left")) return;
  } catch (const Error&) {
    return;  // the folder is gone, or full: nothing that a job's end could mend
  }
  std::error_code ignored;
  fs::remove_all(run_, ignored);
  if (folder_is_ours_) rmdir(folder_.c_str());  // where nothing else is in it
}

fs::path FileStore::mark(const char* name, int rank) const {
  return run_ / fmt::format("{}.{}", name, rank);
}

bool FileStore::all_have(const char* name) const {
  for (int rank = 0; rank < world_size_; ++rank) {
    if (!fs::exists(mark(name, rank))) return false;
  }
  return true;
}

void FileStore::gather(std::chrono::milliseconds timeout) {
  run_ = folder_ / ("run-" + fresh_number());
  fs::create_directory(run_);
  write_whole(mark("here", 0), run_, "");
  Patience patience(timeout);
  while (!all_have("here")) {
    answer_questions();
    if (patience.pause()) continue;
    const std::string text = who_is_missing(timeout);
    write_whole(run_ / "failed", run_, text);
    fail("{}", text);
  }
  write_whole(run_ / "all", run_, "");
  remove_questions();
}

std::string FileStore::who_is_missing(std::chrono::milliseconds timeout) const {
  std::vector<int> missing;
  for (int rank = 0; rank < world_size_; ++rank) {
    if (!fs::exists(mark("here", rank))) missing.push_back(rank);
  }
  return fmt::format("store: expects {} ranks in '{}' within {} s, found no rank {}", world_size_,
                     folder_.string(), in_seconds(timeout), fmt::join(missing, ", "));
}

// Those of an earlier job are answered too: nobody is there to read it.
void FileStore::answer_questions() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("ask.")) continue;
    const fs::path answer = folder_ / ("answer" + name.substr(name.rfind('.')));
    const std::string text = fmt::format("{} {}", run_.filename().string(), world_size_);
    if (read_whole(answer) != text) write_whole(answer, folder_, text);
  }
}

void FileStore::remove_questions() const {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("ask.") || name.starts_with("answer.")) fs::remove(entry.path(), ignored);
  }
}

void FileStore::join(std::chrono::milliseconds timeout) {
  const std::string number = fresh_number();
  const fs::path ask = folder_ / fmt::format("ask.{}.{}", rank_, number);
  const fs::path answer = folder_ / ("answer." + number);
  write_whole(ask, folder_, "");
  Patience patience(timeout);
  std::optional<std::string> text;
  while (!(text = read_whole(answer))) {
    if (patience.pause()) continue;
    std::error_code ignored;
    fs::remove(ask, ignored);
    fail(
        "store: rank {} expects an answer of rank 0 in '{}' within {} s, found none; is rank 0 "
        "running, and does it see this folder?",
        rank_, folder_.string(), in_seconds(timeout));
  }
  const auto space = text->find(' ');
  run_ = folder_ / text->substr(0, space);
  const std::string ranks = text->substr(space + 1);
  require(ranks == std::to_string(world_size_),
          "store: rank {} expects {} ranks, but rank 0 has been started with {}", rank_,
          world_size_, ranks);
  // Exactly one process creates it.
  const int descriptor = open(mark("here", rank_).c_str(), O_CREAT | O_EXCL | O_WRONLY, 0644);
  if (descriptor < 0 && errno == EEXIST) {
    fail("store: expects one process with rank {}, found another one in '{}'", rank_,
         folder_.string());
  }
  if (descriptor < 0) fail_io("create", mark("here", rank_));
  close(descriptor);
  await_all(timeout);
}

// Rank 0 gives up first, and says for whom.
void FileStore::await_all(std::chrono::milliseconds timeout) const {
  Patience patience(timeout + std::chrono::seconds(1));
  while (!fs::exists(run_ / "all")) {
    if (const auto why = read_whole(run_ / "failed")) fail("{}", *why);
    require(patience.pause(),
            "store: rank {} expects all {} ranks in '{}' within {} s, but rank 0 "
            "has not said so; is it still running?",
            rank_, world_size_, folder_.string(), in_seconds(timeout));
  }
}

void FileStore::set(const std::string& key, const std::string& value) {
  check_store_entry(key, value.size());
  const fs::path path = key_path(run_, key);
  std::error_code error;
  if (path.parent_path() != run_) fs::create_directories(path.parent_path(), error);
  write_whole(path, run_, value);
}

std::optional<std::string> FileStore::get(const std::string& key) {
  check_store_entry(key, 0);
  return read_whole(key_path(run_, key));
}

}  // namespace convoy::dist
