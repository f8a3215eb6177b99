// SPDX-License-Identifier: MIT
#pragma once
// Errors to read.
//
//   expect_says(error_of([&] { reshape(x, {7}); }), "x has 6 elements");

#include <gtest/gtest.h>

#include <string>

#include "kernels/require.h"

namespace convoy::testing {

// The text of the Error that `body` throws; empty if it throws none.
template <class Body>
std::string error_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline void expect_says(const std::string& text, const std::string& part) {
  EXPECT_TRUE(contains(text, part)) << "'" << text << "' does not say '" << part << "'";
}

}  // namespace convoy::testing
