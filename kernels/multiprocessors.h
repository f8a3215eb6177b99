// SPDX-License-Identifier: MIT
#pragma once
// How many multiprocessors plans and launches reckon with: those that a GPU has, or what
// CONVOY_MULTIPROCESSORS says. With few of them small problems take the tiles of large ones, and
// several to a block; with many the simulator cuts its work up as a large GPU does.

namespace convoy {

// Throws an Error where the variable is no number from 1 to 65536.
int multiprocessors_to_use(int there);

}  // namespace convoy
