#!/usr/bin/env bash
# Runs nvcc's command line and fails on what ptxas reports as mere information: C75xx, where it serialises
# wgmma or ignores setmaxnreg, and spilled registers. Leaves beside an object X.o the report X.o.ptxas and
# the PTX X.o.<architecture>.ptx, which scripts/ptxas_report.sh reads.
set -uo pipefail

object=""
for ((i = 1; i < $#; ++i)); do
  if [ "${!i}" = -o ]; then next=$((i + 1)) && object=${!next}; fi
done

kept=$(mktemp -d)
trap 'rm -rf "$kept"' EXIT
output=$("$@" -Xptxas=-v --keep --keep-dir "$kept" 2>&1)
status=$?

# -v says a few lines for each kernel; what else there is, is for people.
talk='^ptxas info +: (Compiling entry|Function properties|Used |Compile time|[0-9]+ bytes gmem)|bytes stack frame'
grep -vE "$talk" <<<"$output" | sed '/^$/d' >&2
if [[ $object == *.o ]]; then
  echo "$output" >"$object.ptxas"
  for ptx in "$kept"/*.compute_*.ptx; do
    [ -e "$ptx" ] || continue
    architecture=${ptx##*.compute_}
    cp "$ptx" "$object.sm_${architecture%.ptx}.ptx"
  done
fi

if grep -qE '\(C75[0-9]{2}\)|[1-9][0-9]* bytes spill' <<<"$output"; then
  grep -E '\(C75[0-9]{2}\)|[1-9][0-9]* bytes spill' <<<"$output" >&2
  echo "strict_ptxas: the report above counts as an error" >&2
  exit 1
fi
exit $status
