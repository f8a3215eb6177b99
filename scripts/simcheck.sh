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

# Runs a program's tests in as many parts as there are processors; what a part that fails has printed.
run_parts() {
  local parts part failed=0 pids=()
  parts=$(nproc)
  for ((part = 0; part < parts; ++part)); do
    GTEST_TOTAL_SHARDS=$parts GTEST_SHARD_INDEX=$part "build/simcheck/bin/$1" --gtest_brief=1 --gtest_filter="$2" \
      >"build/simcheck/$1.$part.log" 2>&1 &
    pids+=($!)
  done
  for ((part = 0; part < parts; ++part)); do
    wait "${pids[part]}" || failed=1
    cat "build/simcheck/$1.$part.log"
  done
  return $failed
}

# Whole training runs are too long for the checker: of those, what a step moves.
declare -A filters=([test_sim]="*" [test_gpu_kernels]="*" [test_nn_sim]="SimTraffic.*")
cmake --build build/simcheck --target "${!filters[@]}"
for program in test_sim test_gpu_kernels test_nn_sim; do
  echo "simcheck: $program"
  # Launched so that each kernel must wait for the one before it.
  [[ $program == test_gpu_kernels ]] && export CONVOY_PROGRAMMATIC=1 || unset CONVOY_PROGRAMMATIC
  run_parts "$program" "${1:-${filters[$program]}}"
done
