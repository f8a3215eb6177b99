// SPDX-License-Identifier: MIT
#pragma once
// Gloo's headers of its TCP pairs name this one, which Debian's package leaves out. It stands in
// for it, where it is missing: the types' sizes are Gloo's, and that is all that is used of them
// (dist/gloo_context.cpp).

#include <memory>

namespace gloo {

template <class T>
class NonOwningPtr {
  std::shared_ptr<T> pointer_;
};

template <class T>
class WeakNonOwningPtr {
  std::weak_ptr<T> pointer_;
};

}  // namespace gloo
