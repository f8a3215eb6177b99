// SPDX-License-Identifier: MIT
#include "kernels/vendor/library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "kernels/require.h"
#include "tests/support/temporary_folder.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

// Sets a variable of the environment while it lives.
class Environment {
 public:
  Environment(std::string name, const std::string& value) : name_(std::move(name)) {
    const char* before = std::getenv(name_.c_str());
    was_set_ = before != nullptr;
    if (was_set_) before_ = before;
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    if (was_set_) {
      setenv(name_.c_str(), before_.c_str(), 1);
    } else {
      unsetenv(name_.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_, before_;
  bool was_set_ = false;
};

// As a real one, of which no version is on the machine.
LibraryKind fake_kind() {
  return {"fake", "Fake", "CONVOY_FAKE_PATH", {"libconvoyfake.so.3"}, "fakeGetVersion", {2, 3}};
}

TEST(VendorLibrary, IsFoundWithItsVersionAndItsFunctions) {
  const Environment path("CONVOY_FAKE_PATH", CONVOY_FAKE_LIBRARY);
  const Library library(fake_kind());
  ASSERT_TRUE(library.loaded()) << library.why();
  EXPECT_EQ(library.version(), "3.4.5");
  EXPECT_EQ(library.file(), CONVOY_FAKE_LIBRARY);
  EXPECT_EQ(library.why(), "");
  const auto answer = library.find<int (*)()>("fakeAnswer");
  ASSERT_NE(answer, nullptr);
  EXPECT_EQ(answer(), 42);
}

TEST(VendorLibrary, AFunctionThatItLacksIsNull) {
  const Environment path("CONVOY_FAKE_PATH", CONVOY_FAKE_LIBRARY);
  const Library library(fake_kind());
  EXPECT_EQ(library.find<int (*)()>("fakeMatmul"), nullptr);
}

TEST(VendorLibrary, AVersionThatDoesNotSuitIsNotTaken) {
  const Environment path("CONVOY_FAKE_PATH", CONVOY_OLD_FAKE_LIBRARY);
  const Library library(fake_kind());
  EXPECT_FALSE(library.loaded());
  EXPECT_EQ(library.find<int (*)()>("fakeAnswer"), nullptr);
  EXPECT_NE(library.why().find("expected Fake version 2 or 3, found 1.9.0"), std::string::npos)
      << library.why();
}

TEST(VendorLibrary, OneWithoutAVersionIsNotTaken) {
  const Environment path("CONVOY_FAKE_PATH", CONVOY_SILENT_FAKE_LIBRARY);
  const Library library(fake_kind());
  EXPECT_FALSE(library.loaded());
  EXPECT_NE(library.why().find("expected the function fakeGetVersion"), std::string::npos)
      << library.why();
}

TEST(VendorLibrary, AMissingOneSaysWhy) {
  const Library library(fake_kind());
  EXPECT_FALSE(library.loaded());
  EXPECT_NE(library.why().find("libconvoyfake.so.3"), std::string::npos) << library.why();
}

TEST(VendorLibrary, AFileThatIsNoLibrarySaysWhy) {
  const testing::TemporaryFolder folder;
  const fs::path file = folder.path() / "text.so";
  std::ofstream(file) << "no library";
  const Environment path("CONVOY_FAKE_PATH", file.string());
  const Library library(fake_kind());
  EXPECT_FALSE(library.loaded());
  EXPECT_NE(library.why().find("text.so"), std::string::npos) << library.why();
}

TEST(VendorLibrary, TheVariableIsTheOnlyFileTried) {
  const Environment path("CONVOY_FAKE_PATH", "/nowhere/lib.so");
  EXPECT_EQ(library_candidates(fake_kind()), std::vector<std::string>{"/nowhere/lib.so"});
}

// A python3 with a wheel beside it, the loader without one.
TEST(VendorLibrary, IsFoundInAPythonWheel) {
  const testing::TemporaryFolder folder;
  const fs::path bin = folder.path() / "bin";
  const fs::path lib = folder.path() / "lib/python3.12/site-packages/nvidia/cudnn/lib";
  fs::create_directories(bin);
  fs::create_directories(lib);
  std::ofstream(bin / "python3") << "#!/bin/sh\n";
  fs::permissions(bin / "python3", fs::perms::owner_all);
  fs::copy_file(CONVOY_FAKE_LIBRARY, lib / "libconvoyfake.so.3");
  const Environment path("PATH", "/nowhere:" + bin.string());
  const Library library(fake_kind());
  ASSERT_TRUE(library.loaded()) << library.why();
  EXPECT_EQ(library.file(), (lib / "libconvoyfake.so.3").string());
}

// By its name alone, as NVRTC asks for it.
TEST(VendorLibrary, AWheelsCompilerFindsItsLibrary) {
  const testing::TemporaryFolder folder;
  const fs::path lib = folder.path() / "nvidia/cudnn/lib",
                 beside = folder.path() / "nvidia/cu13/lib";
  fs::create_directories(lib);
  fs::create_directories(beside);
  fs::copy_file(CONVOY_FAKE_LIBRARY, lib / "libconvoyfake.so.3");
  fs::copy_file(CONVOY_NAMED_FAKE_LIBRARY, beside / "libnvrtc-builtins.so.0.0");
  EXPECT_EQ(dlopen("libnvrtc-builtins.so.0.0", RTLD_NOW), nullptr);
  const Environment path("CONVOY_FAKE_PATH", (lib / "libconvoyfake.so.3").string());
  ASSERT_TRUE(Library(fake_kind()).loaded());
  EXPECT_NE(dlopen("libnvrtc-builtins.so.0.0", RTLD_NOW), nullptr);
}

TEST(VendorLibrary, OneThatDoesNotWorkIsLeftOut) {
  const Environment path("CONVOY_FAKE_PATH", CONVOY_FAKE_LIBRARY);
  Library library(fake_kind());
  library.leave_out("no driver");
  EXPECT_FALSE(library.loaded());
  EXPECT_EQ(library.why(), "no driver");
}

TEST(VendorLibrary, EachKnownOneIsReported) {
  const std::vector<VendorLibrary> all = vendor_libraries();
  ASSERT_EQ(all.size(), 3u);
  for (const VendorLibrary& library : all) {
    EXPECT_EQ(library.loaded, library.text.find("not used") == std::string::npos);
    EXPECT_FALSE(library.text.empty());
  }
  EXPECT_EQ(all[0].title, "cuBLASLt");
  EXPECT_EQ(&vendor_library("cudnn"), &vendor_library("cudnn")) << "looked for once";
  EXPECT_THROW(vendor_library("cufft"), Error);
}

}  // namespace
}  // namespace convoy
