#!/usr/bin/env bash
# Runs a compiler's command line and fails on what ptxas reports as mere information: C75xx, where it
# serialises wgmma or ignores setmaxnreg, and spilled registers.
set -uo pipefail
output=$("$@" 2>&1)
status=$?
[ -n "$output" ] && echo "$output" >&2
if grep -qE '\(C75[0-9]{2}\)|[1-9][0-9]* bytes spill' <<<"$output"; then
  echo "strict_ptxas: the report above counts as an error" >&2
  exit 1
fi
exit $status
