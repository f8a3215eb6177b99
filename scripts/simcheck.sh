#!/usr/bin/env bash
# The hand-written kernels on the simulator with its access checker: bounds, unwritten memory, races.
#   ./scripts/simcheck.sh [GoogleTest filter]        e.g. '*Gemm*'
#   ./scripts/simcheck.sh --mutants [suites]         the mutation run; exit 1 if a mutant survives
set -euo pipefail
cd "$(dirname "$0")/.."
export OMP_WAIT_POLICY=passive

./scripts/setup.sh
./scripts/configure.sh simcheck
if [[ "${1:-}" == --mutants ]]; then
  cmake --build build/simcheck --target mutate_kernels
  exec build/simcheck/bin/mutate_kernels "${@:2}"
fi

# Whole training runs are too long for the checker: of those, what a step moves.
declare -A filters=([test_sim]="*" [test_gpu_kernels]="*" [test_nn_sim]="SimTraffic.*")
for program in test_sim test_gpu_kernels test_nn_sim; do
  echo "simcheck: $program"
  cmake --build build/simcheck --target "$program"
  # Launched so that each kernel must wait for the one before it.
  [[ $program == test_gpu_kernels ]] && export CONVOY_PROGRAMMATIC=1 || unset CONVOY_PROGRAMMATIC
  "build/simcheck/bin/$program" --gtest_brief=1 --gtest_filter="${1:-${filters[$program]}}"
done
