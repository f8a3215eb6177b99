#!/usr/bin/env bash
# AddressSanitizer and UndefinedBehaviorSanitizer over the host's code, the longest runs aside,
# ThreadSanitizer over what starts threads of its own. The kernels are simcheck.sh's. About 35 minutes on 2 cores.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh

echo "sanitize: AddressSanitizer and UndefinedBehaviorSanitizer"
./scripts/configure.sh asan
cmake --build build/asan
# A cached block would hide a use after free; OpenMP's threads are the runtime's own, not leaks.
# Memory that is not there is told to the allocator, as without a sanitizer.
# LostRank runs whole jobs to their time limits, which a sanitizer stretches, and GpuCheck the kernels' tests,
# which simcheck.sh runs; a model of interleavings has no memory to lose; and of the whole training runs the
# longest are made of what others run, too. The release build runs them all.
too_long='LostRank|GpuCheck|EveryMutantIsFound|Kernels.With2Threads|Ema.ARunThatWasStopped'
too_long+='|^Ranks.(Averages|BatchNorm|Zero|Drop|TrainOn)|MixedPrecision.(ResumesTo|StepsThat|WithAndWithout)'
too_long+='|Train.(Images|Without)'
CONVOY_ALLOCATOR=direct \
  ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:allocator_may_return_null=1 \
  LSAN_OPTIONS=suppressions="$PWD/scripts/lsan.supp":print_suppressions=0 \
  ctest --test-dir build/asan --output-on-failure --parallel "$(nproc)" -LE 'slow|install|data' \
  -E "$too_long"

echo "sanitize: ThreadSanitizer"
./scripts/configure.sh tsan
cmake --build build/tsan --target threaded_tests
# The long conformance cases run over Gloo; those over the stand-in for NCCL add no threads to its own tests.
# Predictions of memory have one thread.
TSAN_OPTIONS=halt_on_error=1:suppressions="$PWD/scripts/tsan.supp" \
  ctest --test-dir build/tsan --output-on-failure --parallel "$(nproc)" -L threads -E 'Conformance.*/fake_nccl|^Plan\.'
