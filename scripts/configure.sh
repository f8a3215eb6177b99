#!/usr/bin/env bash
# Configures a CMake preset, quietly unless it fails. ccache is used where it is there.
#   ./scripts/configure.sh PRESET [cmake arguments]
set -euo pipefail
cd "$(dirname "$0")/.."

preset=$1
shift
mkdir -p build
log=build/configure-$preset.log
launcher=()
command -v ccache >/dev/null && launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
if ! cmake --preset "$preset" "${launcher[@]}" "$@" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "configure: preset $preset failed (whole log: $log)" >&2
  exit 1
fi
grep -- '-- convoy: ' "$log" | sed 's/^-- //'
