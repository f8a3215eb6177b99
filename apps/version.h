// SPDX-License-Identifier: MIT
#pragma once
// What this build was made from.

namespace convoy::apps {

const char* version();  // "0.1.0"
// "50892a2f1c3e", with "-dirty" where the tree had changes; "unknown" outside of a repository.
const char* commit();

}  // namespace convoy::apps
