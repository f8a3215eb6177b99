// SPDX-License-Identifier: MIT
// Compiled twice, with a helper left outside of the target's namespace: what
// tests/weak_symbols.cmake must see.
namespace convoy {
template <class T>
[[gnu::noinline]] T left_outside(T x) {
  return x + 1;
}
int caller(int x) { return left_outside(x); }
}  // namespace convoy
