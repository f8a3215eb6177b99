// SPDX-License-Identifier: MIT
#include "apps/version.h"

#include <convoy_commit.h>  // written by scripts/cmake/commit.cmake at each build

namespace convoy::apps {

const char* version() { return CONVOY_VERSION; }
const char* commit() { return CONVOY_COMMIT; }

}  // namespace convoy::apps
