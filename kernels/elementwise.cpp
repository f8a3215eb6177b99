// SPDX-License-Identifier: MIT
#include "kernels/elementwise.h"

namespace convoy {

const char* name(UnaryFn fn) {
  constexpr const char* kNames[] = {"relu",   "relu6",     "leaky_relu", "sigmoid",   "tanh",
                                    "gelu",   "gelu_tanh", "silu",       "hardswish", "hardsigmoid",
                                    "exp",    "log",       "sqrt",       "clamp",     "neg",
                                    "square", "pow",       "affine",     "reciprocal"};
  return kNames[static_cast<std::size_t>(fn)];
}

}  // namespace convoy
