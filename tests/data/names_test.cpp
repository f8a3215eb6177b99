// SPDX-License-Identifier: MIT
#include "data/names.h"

#include <gtest/gtest.h>

namespace convoy::data {
namespace {

using namespace std::string_literals;

TEST(Names, PathsBelowAFolderHaveNoFault) {
  for (const char* name : {"a", "cat/07.jpg", "a/b/c", "T-shirt/top", "..a", "a..", "a/...", ".x",
                           "kät/\xf0\x9f\x98\xba.png", "with space"}) {
    EXPECT_EQ(fault_of_name(name), "") << name;
  }
}

TEST(Names, OthersAreToldApart) {
  const std::pair<std::string, const char*> cases[] = {{"", "empty"},
                                                       {"/etc/passwd", "starts with a slash"},
                                                       {"a//b", "empty part"},
                                                       {"a/", "empty part"},
                                                       {"..", "'..'"},
                                                       {"a/../b", "'..'"},
                                                       {"a/..", "'..'"},
                                                       {"./a", "'.'"},
                                                       {"a\\b", "backslash"},
                                                       {"a\nb", "control"},
                                                       {"a\0b"s, "control"},
                                                       {"\x7f", "control"},
                                                       {"\xc0\xaf", "UTF-8"},
                                                       {"a\xff", "UTF-8"},
                                                       {"\xed\xa0\x80", "UTF-8"}};
  for (const auto& [name, fault] : cases) {
    EXPECT_NE(fault_of_name(name).find(fault), std::string::npos)
        << in_ascii(name) << " " << fault_of_name(name);
  }
  EXPECT_EQ(in_ascii("a\n\xff~"), "a\\x0a\\xff~");
}

}  // namespace
}  // namespace convoy::data
