// SPDX-License-Identifier: MIT
#include "apps/convoy/outlet.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>

namespace convoy::testing {
namespace {

TEST(Outlet, KeepsWhatASlowReaderDoesNotTake) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  apps::Outlet outlet(ends[1]);
  std::string sent, got;
  for (int i = 0; i < 40; ++i) {
    const std::string piece(10007, static_cast<char>('a' + i % 26));
    sent += piece;
    outlet.write(piece);
  }
  EXPECT_TRUE(outlet.is_behind());
  std::array<char, 3000> bytes;
  while (got.size() < sent.size()) {
    const ssize_t count = read(ends[0], bytes.data(), bytes.size());
    ASSERT_GT(count, 0);
    got.append(bytes.data(), static_cast<std::size_t>(count));
    outlet.flush();
  }
  EXPECT_FALSE(outlet.is_behind());
  EXPECT_EQ(got, sent);
  close(ends[0]), close(ends[1]);
}

TEST(Outlet, DropsWhatNobodyWillRead) {
  std::array<int, 2> ends;
  ASSERT_EQ(pipe(ends.data()), 0);
  const auto before = std::signal(SIGPIPE, SIG_IGN);
  apps::Outlet outlet(ends[1]);
  outlet.write(std::string(200000, 'x'));
  EXPECT_TRUE(outlet.is_behind());
  close(ends[0]);
  outlet.flush();
  EXPECT_FALSE(outlet.is_behind());
  close(ends[1]);
  outlet.write("to a descriptor that is closed");
  EXPECT_FALSE(outlet.is_behind());
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace convoy::testing
