// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/special_registers.h"

namespace convoy::ptx {
namespace {

unsigned along(const Dim3& size, char axis) {
  return axis == 'x' ? size.x : axis == 'y' ? size.y : size.z;
}

Dim3 place_of(unsigned index, const Dim3& size) {
  return {index % size.x, index / size.x % size.y, index / size.x / size.y};
}

}  // namespace

Word special_register(const std::string& name, const Block& b, unsigned thread) {
  const Launch& l = *b.launch;
  const char axis = name.back();
  if (name.starts_with("%tid.")) return along(place_of(thread, l.block), axis);
  if (name.starts_with("%ntid.")) return along(l.block, axis);
  if (name.starts_with("%ctaid.")) return along(b.at, axis);
  if (name.starts_with("%nctaid.")) return along(l.grid, axis);
  if (name == "%laneid") return thread % 32;
  if (name == "%cluster_ctarank") return b.rank;
  if (name == "%cluster_nctarank") return l.cluster;
  throw Fault("special register " + name + " is not known to the machine");
}

}  // namespace convoy::ptx
