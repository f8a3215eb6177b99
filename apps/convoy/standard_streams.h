// SPDX-License-Identifier: MIT
#pragma once
// The three descriptors that a program is started with, where its parent has closed some of them or
// does not take what is written.

namespace convoy::apps {

// Puts something in the place of each that is closed, which fails what uses it: the next file that
// is opened would be given that place, and get what is printed.
void hold_standard_descriptors();

// `code` once standard output has taken all; else says why not, and returns 1 in place of 0: what a
// pipe or a full disk did not take must not look like success.
int after_output(const char* program, int code);

}  // namespace convoy::apps
