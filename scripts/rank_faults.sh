#!/usr/bin/env bash
# Loses a rank of a training run in every phase: killed and stopped, the first, a middle and the last of three ranks.
#   ./scripts/rank_faults.sh [TIMEOUT]        seconds of --dist-timeout, 5 by default
# Each time: all others end with an error that names rank and phase within the timeout and 2 seconds, no process stays,
# and the last checkpoint is read by a run that goes on. Needs the programs (cmake --build build/release); about 5 minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
timeout=${1:-5}
convoy=${CONVOY_PROGRAM:-$PWD/build/release/bin/convoy}
export OMP_WAIT_POLICY=passive
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"$convoy" synth digits --train-per-class 8 --val-per-class 3 --img-size 28 --seed 3 >/dev/null
train=(train --dataset image_folder --data-dir digits --img-size 28 --model lenet5 --global-batch-size 24 --lr 0.01 --zero-stage 1
  --dist-timeout "$timeout" --output run)
"$convoy" launch --nproc-per-node 3 -- "${train[@]}" --epochs 1 >/dev/null
cp -r run first

wrong=0
lose() {  # RANK PHASE STEP SIGNAL
  rm -rf run && cp -r first run
  local begin end code=0 took complaint="" words
  begin=$(date +%s%N)
  CONVOY_FAULT=$1:$2:$3:$4 "$convoy" launch --nproc-per-node 3 -- "${train[@]}" --epochs 3 --resume auto \
    >out.txt 2>err.txt || code=$?
  end=$(date +%s%N)
  took=$(((end - begin) / 1000000))
  words="rank $1 \(is gone\|has not been heard of\)"  # a stopped one is ended by the launcher when the others know
  [ "$code" != 0 ] || complaint+=" exit code 0;"
  for rank in 0 1 2; do
    [ "$rank" = "$1" ] || grep -q "^\[rank $rank\] convoy: $words.*last seen in $2" err.txt || complaint+=" rank $rank does not name it;"
  done
  # Two seconds beyond the timeout, and two for the steps before.
  [ "$took" -le $((1000 * timeout + 4000)) ] || complaint+=" took too long;"
  ! pgrep -f "$convoy train.*--output run" >/dev/null || complaint+=" a rank stays behind;"
  "$convoy" launch --nproc-per-node 2 -- "${train[@]}" --epochs 1 --resume auto >again.txt 2>&1 ||
    complaint+=" the last checkpoint does not load;"
  printf '%-5s rank %s in %-20s %6d ms  exit %3d  %s\n' "$4" "$1" "$2" "$took" "$code" "${complaint:-ok}"
  [ -z "$complaint" ] || { wrong=1; cat err.txt >&2; }
}

for signal in KILL STOP; do
  for phase in connect:0 load:0 'gather of parameters:5' forward:5 backward:5 reduce:5 optimizer:5 evaluation:0 saving:0; do
    for rank in 0 1 2; do lose "$rank" "${phase%:*}" "${phase#*:}" "$signal"; done
  done
done
[ "$wrong" = 0 ] && echo "rank_faults: every loss was named in time"
exit $wrong
