// SPDX-License-Identifier: MIT
// A library that says only its version: FAKE_VERSION, where it is defined.
#include <cstddef>

#ifdef FAKE_VERSION
extern "C" std::size_t fakeGetVersion() { return FAKE_VERSION; }
#endif
extern "C" int fakeAnswer() { return 42; }
