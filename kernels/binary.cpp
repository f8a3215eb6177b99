// SPDX-License-Identifier: MIT
#include "kernels/binary.h"

namespace convoy {

const char* name(BinaryFn fn) {
  switch (fn) {
    case BinaryFn::add:
      return "add";
    case BinaryFn::sub:
      return "sub";
    case BinaryFn::mul:
      return "mul";
    case BinaryFn::div:
      return "div";
  }
  fail("binary: unknown function {}", static_cast<int>(fn));
}

Strides broadcast_strides(const Shape& from, const Strides& strides, const Shape& to) {
  const int missing = to.rank() - from.rank();
  require(missing >= 0, "broadcast: shape {} expects to fit into {}", from, to);
  Strides result = Strides::filled(to.rank(), 0);
  for (int d = 0; d < from.rank(); ++d) {
    if (from[d] == to[d + missing]) {
      result[d + missing] = from[d] == 1 ? 0 : strides[d];
    } else {
      require(from[d] == 1, "broadcast: shape {} expects to fit into {}", from, to);
    }
  }
  return result;
}

}  // namespace convoy
