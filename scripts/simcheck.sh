#!/usr/bin/env bash
# The hand-written kernels on the simulator with its access checker: bounds, unwritten memory, races.
#   ./scripts/simcheck.sh [GoogleTest filter]        e.g. '*Gemm*'
#   ./scripts/simcheck.sh --mutants [suites]         the mutation run, without the checker
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive

./scripts/setup.sh
if [[ "${1:-}" == --mutants ]]; then
  ./scripts/configure.sh release
  cmake --build build/release --target mutate_kernels
  exec build/release/bin/mutate_kernels "${@:2}"
fi

./scripts/configure.sh simcheck
for program in test_sim test_gpu_kernels; do
  echo "simcheck: $program"
  cmake --build build/simcheck --target "$program"
  "build/simcheck/bin/$program" --gtest_brief=1 --gtest_filter="${1:-*}"
done
