// SPDX-License-Identifier: MIT
// Not compiled: a file that breaks the rules, for the test of the layering check.
#include <zlib.h>

#include "runtime/tensor.h"
