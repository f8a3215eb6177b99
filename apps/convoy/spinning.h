// SPDX-License-Identifier: MIT
#pragma once

namespace convoy::apps {

// OpenMP's threads spin at a barrier for a while before they sleep, by default so long that a
// second program on the machine slows both down tenfold. libgomp reads the limit before main, so
// this starts the program again with a short one, unless the user has chosen.
void limit_spinning(char** argv);

}  // namespace convoy::apps
