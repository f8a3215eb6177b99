// SPDX-License-Identifier: MIT
#pragma once
// What the tests of this folder share: a folder of their own, files made by hand, and errors looked
// at by kind and text.

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/file.h"
#include "kernels/require.h"
#include "tests/support/places.h"
#include "tests/support/temporary_folder.h"

namespace convoy::data::testing {

using Bytes = std::vector<std::uint8_t>;

class TempFolder : public convoy::testing::TemporaryFolder {
 public:
  // Makes the folders on the way.
  std::filesystem::path write(const std::string& name, std::span<const std::uint8_t> bytes) const {
    const std::filesystem::path file = path() / name;
    std::filesystem::create_directories(file.parent_path());
    write_file(file, bytes);
    return file;
  }
};

// `f` throws an Error of this kind whose text has all of `parts`.
inline void expect_error(ErrorKind kind, const std::function<void()>& f,
                         const std::vector<std::string>& parts) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "expected \"" << part << "\" in: " << error.what();
    }
    return;
  }
  ADD_FAILURE() << "expected an error with \"" << (parts.empty() ? "" : parts[0]) << "\"";
}

inline void expect_data_error(const std::function<void()>& f,
                              const std::vector<std::string>& parts) {
  expect_error(ErrorKind::data, f, parts);
}

inline Bytes gzipped(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  Bytes out(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 64);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

// Where the shared data is, or an empty path: then the test says that it skips.
inline std::filesystem::path shared_data(const std::string& name) {
  const std::filesystem::path path =
      std::filesystem::path(convoy::testing::place("CONVOY_DATA", CONVOY_DATA)) / name;
  return std::filesystem::exists(path) ? path : std::filesystem::path{};
}
#define SKIP_WITHOUT(path, name) \
  if ((path).empty())            \
  GTEST_SKIP() << "no " << (name) << " under " << convoy::testing::place("CONVOY_DATA", CONVOY_DATA)

}  // namespace convoy::data::testing
