// SPDX-License-Identifier: MIT
// For tests/first_statement.cmake: a kernel that works before it has waited.
__global__ void begins() {
  begin_kernel();
}
template <int N>
__global__ void __launch_bounds__(N) works_first(float* y) {
  y[0] = 1;
  begin_kernel();
}
