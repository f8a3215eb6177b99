// SPDX-License-Identifier: MIT
#include "runtime/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <vector>

#include "kernels/require.h"
#include "runtime/crc32c.h"
#include "tests/support/temporary_folder.h"

namespace convoy {
namespace {

using convoy::testing::file_text;
using convoy::testing::TemporaryFolder;
using convoy::testing::write_text;

std::size_t files_in(const TemporaryFolder& folder) {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder.path()))
    ++count;
  return count;
}

TEST(AtomicFile, ReplacesNoPipeDeviceOrFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path pipe = folder.path() / "pipe", link = folder.path() / "link";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("/dev/null", link);
  for (const auto& path : {pipe, link, folder.path()}) {
    EXPECT_THROW(AtomicFile{path}, Error) << path;
  }
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

TEST(AtomicFile, ReplacesTheOldFileAtCommit) {
  const TemporaryFolder folder;
  write_text(folder / "state.json", "old");
  AtomicFile file(folder / "state.json");
  file.write("ne");
  file.write("w");
  EXPECT_EQ(file_text(folder / "state.json"), "old");
  file.commit();
  EXPECT_EQ(file_text(folder / "state.json"), "new");
  EXPECT_EQ(file.size(), 3u);
  const std::string text = "new";
  EXPECT_EQ(file.crc32c(), crc32c(std::as_bytes(std::span(text))));
  EXPECT_EQ(files_in(folder), 1u);
  EXPECT_THROW(file.write("x"), Error);
  EXPECT_THROW(file.commit(), Error);
}

TEST(AtomicFile, WithoutCommitNothingChanges) {
  const TemporaryFolder folder;
  write_text(folder / "state.json", "old");
  { AtomicFile(folder / "state.json").write("new"); }
  EXPECT_EQ(file_text(folder / "state.json"), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(AtomicFile, TwoWritersDoNotMix) {
  const TemporaryFolder folder;
  AtomicFile first(folder / "f"), second(folder / "f");
  first.write("first");
  second.write("second");
  second.commit();
  first.commit();
  EXPECT_EQ(file_text(folder / "f"), "first");
  EXPECT_EQ(files_in(folder), 1u);
}

TEST(AtomicFile, AMissingFolderIsNamed) {
  const TemporaryFolder folder;
  try {
    AtomicFile file(folder / "none/state.json");
    FAIL();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("none/state.json: could not create it"), text.npos) << text;
    EXPECT_NE(text.find("No such file or directory"), text.npos) << text;
  }
}

// The limit on the size of files stands in for a full disk: a write stops in the middle.
TEST(AtomicFile, AFailedWriteKeepsTheOldFile) {
  const TemporaryFolder folder;
  write_text(folder / "f", "old");
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{64 * 1024, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string error = "none";
  try {
    AtomicFile file(folder / "f", 1 << 20);
    file.write(std::vector<std::byte>(1 << 20));
  } catch (const Error& e) {
    error = e.what();
  }
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(error.find("could not write it after 65536 of 1048576 bytes: File too large"),
            error.npos)
      << error;
  EXPECT_EQ(file_text(folder / "f"), "old");
  EXPECT_EQ(files_in(folder), 1u);
}

}  // namespace
}  // namespace convoy
