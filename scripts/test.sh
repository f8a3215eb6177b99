#!/usr/bin/env bash
# Installs what is missing, builds everything that this machine's toolchains allow, runs every test.
#   ./scripts/test.sh [ctest arguments]        e.g. -R Conv2d, or -L threads
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh
./scripts/configure.sh release -DCONVOY_PRECOMPILE=ON
cmake --build build/release
labels=(-LE slow)
[[ " $* " == *" -L "* ]] && labels=()
exec ctest --test-dir build/release --output-on-failure --parallel "$(nproc)" --progress "${labels[@]}" "$@"
