#!/usr/bin/env bash
# Many ranks through real NCCL on one GPU: the conformance test, convoy bench comm and training, with 2 and 4 ranks.
# Each rank is a process that NCCL takes for a machine of its own (NCCL_HOSTID), since it refuses two ranks of one
# machine on one GPU; they speak through sockets on loopback. It shows that results are right, not how fast NCCL is.
#   ./nccl_one_gpu.sh [flags]
#   --programs DIR     (bin/ here, else build/release/bin)    where convoy and the tests are
#   --device cuda:0    (cuda:0)    cpu: a rehearsal of this script, by Gloo
#   --limit SECONDS    (240)       of each run
# Exit code: 0 all is right, 1 something is not, or there is no GPU, 2 bad use.
set -uo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin="" device=cuda:0 limit=240
usage() { echo "nccl_one_gpu: $1; --help tells more" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    --programs | --device | --limit) [ $# -gt 1 ] || usage "$1 expects a value" ;;
    *) usage "unknown flag $1" ;;
  esac
  case $1 in
    --programs) bin=$2 ;;
    --device) device=$2 ;;
    --limit) limit=$2 ;;
  esac
  shift 2
done
[ "$device" = cuda ] && device=cuda:0  # all ranks on that one
case $device in cuda | cuda:*) engine=nccl ;; cpu | sim) engine=gloo ;; *) usage "--device expects cuda:0 or cpu, found '$device'" ;; esac
if [ -z "$bin" ]; then
  bin=$here/bin
  [ -x "$bin/convoy" ] || bin=$here/../build/release/bin
fi
[ -x "$bin/convoy" ] || usage "no programs in $bin: build first, or use a bundle"
bin=$(cd "$bin" && pwd)
test_dist=$bin/test_dist
[ -x "$test_dist" ] || test_dist=$bin/../tests/test_dist
[ -x "$test_dist" ] || usage "no test_dist beside $bin: build it first"

if [ $engine = nccl ]; then
  nvidia-smi -L >/dev/null 2>&1 || { echo "nccl_one_gpu: there is no GPU here (nvidia-smi finds none)" >&2; exit 1; }
  "$bin/convoy" devices | grep '^cuda' | grep -qv '^cuda *none' || { echo "nccl_one_gpu: this build does not run on the GPU here:" >&2; "$bin/convoy" devices >&2; exit 1; }
  nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
  "$bin/convoy" doctor | grep -i nccl
  export NCCL_P2P_DISABLE=1 NCCL_SHM_DISABLE=1 NCCL_NET=Socket NCCL_ALGO=Ring NCCL_PROTO=Simple NCCL_SOCKET_IFNAME=lo
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
code=0 runs=0

# ranks COUNT NAME COMMAND...: the command as every rank of a job; rank r's output in $scratch/NAME.r.
ranks() {
  local count=$1 name=$2 rank pids=() failed=""
  shift 2
  runs=$((runs + 1))
  mkdir "$scratch/meet.$runs"
  for ((rank = 0; rank < count; ++rank)); do
    RANK=$rank LOCAL_RANK=$rank WORLD_SIZE=$count LOCAL_WORLD_SIZE=$count NCCL_HOSTID=rank$rank \
      CONVOY_TEST_RANKS=file://$scratch/meet.$runs timeout -k 10 "$limit" "$@" >"$scratch/$name.$rank" 2>&1 </dev/null &
    pids+=($!)
  done
  for ((rank = 0; rank < count; ++rank)); do
    wait "${pids[$rank]}" || failed="$failed $rank"
  done
  [ -z "$failed" ] && return 0
  for rank in $failed; do
    echo "  rank $rank failed; its last lines:"
    tail -n 15 "$scratch/$name.$rank" | sed 's/^/    /'
  done
  return 1
}
verdict() {  # GOOD(yes or no) TEXT
  if [ "$1" = yes ]; then echo "good  $2"; else echo "BAD   $2"; code=1; fi
}

for count in 2 4; do
  # Tests of what NCCL does not promise, the order of sums, skip; a test that cannot run must not pass for one that did.
  good=yes
  ranks $count conformance "$test_dist" --gtest_filter="*Conformance*/$engine" --gtest_color=no || good=no
  passed=$(grep -c '^\[       OK \]' "$scratch/conformance.0")
  [ "$passed" -ge 7 ] || good=no
  verdict $good "$count ranks: $passed conformance tests of $engine"

  for collective in all_reduce reduce_scatter all_gather broadcast; do
    good=yes
    ranks $count bench "$bin/convoy" bench comm $collective -b 1K -e 4M -f 16 -n 5 -w 2 --device "$device" \
      --dist-timeout 60 --dist-init "file://$scratch/meet.$((runs + 1))" || good=no
    cat "$scratch/bench.0"
    verdict $good "$count ranks: bench comm $collective"
  done
done

digits=$scratch/digits
"$bin/convoy" synth "$digits" --train-per-class 96 --val-per-class 16 --img-size 28 --seed 3 >/dev/null || verdict no "convoy synth"
# train COUNT NAME FLAGS...
train() {
  local count=$1 name=$2 good=yes
  shift 2
  ranks "$count" "$name" "$bin/convoy" train --device "$device" --dataset image_folder --data-dir "$digits" --img-size 28 \
    --model lenet5 --batch-size 16 --epochs 4 --warmup-epochs 0 --seed 1 --output "$scratch/out-$name" \
    --dist-timeout 60 --dist-init "file://$scratch/meet.$((runs + 1))" "$@" || good=no
  tail -n 1 "$scratch/$name.0" | sed 's/; checkpoint.*//'
  verdict $good "$count ranks train lenet5 ${*:-without more}"
}
weights_of() { find "$scratch/out-$1/checkpoints" -name model.safetensors 2>/dev/null | sort | tail -n 1; }
same() {  # A B TEXT: both runs have left the same weights
  local a b
  a=$(weights_of "$1") b=$(weights_of "$2")
  if [ -n "$a" ] && [ -n "$b" ] && cmp -s "$a" "$b"; then verdict yes "$3"; else verdict no "not so: $3"; fi
}
for count in 2 4; do
  train $count plain$count
  train $count again$count
  same plain$count again$count "$count ranks: the same command leaves the same weights"
  train $count zero$count --zero-stage 1
  same plain$count zero$count "$count ranks: a sharded optimizer leaves the weights of a whole one"
done
[ $code -eq 0 ] && echo "nccl_one_gpu: all is right" || echo "nccl_one_gpu: something is not right"
exit $code
