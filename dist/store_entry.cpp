// SPDX-License-Identifier: MIT
#include "dist/store_entry.h"

#include "kernels/require.h"

namespace convoy::dist {

void check_store_entry(const std::string& key, std::size_t value_bytes) {
  require(!key.empty() && key.size() <= kMaxKeyBytes,
          "store: expects a key of 1 to {} characters, found {}", kMaxKeyBytes, key.size());
  require(value_bytes <= kMaxValueBytes,
          "store: expects a value of up to {} bytes for '{}', found {}", kMaxValueBytes, key,
          value_bytes);
}

}  // namespace convoy::dist
