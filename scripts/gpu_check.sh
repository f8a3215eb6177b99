#!/usr/bin/env bash
# Checks and measures this build on this machine, stage by stage, and leaves a JSON file per stage.
#   ./gpu_check.sh [flags] [stage...]      in a bundle (scripts/bundle.sh), or scripts/gpu_check.sh after a build
# Stages, in this order, what tells most first; each keeps to --limit seconds, catches its failures, and can be called alone:
#   devices      what is there: driver, GPU, libraries
#   tests        every test; on cuda those that know a GPU, on it, and first each instruction beside its meaning on
#                the simulator
#   kernels      kbench: gemm, memory-bound kernels, batch_norm
#   layers       kbench: convolutions of resnet50 and of the CIFAR recipe
#   training     lenet5 and resnet20: eager, graph, half precision, and the same run twice; resnet18 and resnet50 at
#                batch 256 as baselines has them, fused and composed
#   baselines    the same measurements by PyTorch, where python3 has it (baselines/)
#   ranks        2 and 4 ranks on the one GPU (nccl_one_gpu.sh)
#   sanitizer    compute-sanitizer over the kernels' tests, where it is installed
# Flags:
#   --device cuda|sim|cpu   (cuda)    sim and cpu are for a rehearsal without a GPU
#   --out DIR               (gpu_check-results)    a STAGE.json each, summary.txt, and logs/
#   --data DIR              folder with mnist/ and cifar10/; else $CONVOY_DATA, data/ here or beside here
#   --limit SECONDS         (570)     of each stage
#   --total SECONDS         of all of them: a stage for which nothing is left does not begin
#   --pack FILE             all of --out in one .tar.gz, written after each stage
#   --programs DIR          (bin/ here, else build/release/bin)    whose convoy, kbench and tests are run
#   --quick                 a little of everything, in a minute
# Exit code: 0 every stage is good, 1 one is not, 2 bad use.
set -uo pipefail
export LC_ALL=C OMP_WAIT_POLICY=passive

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
all_stages=(devices tests kernels layers training baselines ranks sanitizer)
device=cuda
out=gpu_check-results
data=${CONVOY_DATA:-}
limit=570 total="" pack=""
quick="" bin=""
stages=()
usage() { echo "gpu_check: $1; --help tells more" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;;
    --quick) quick=yes; shift; continue ;;
    --device | --out | --data | --limit | --total | --pack | --programs) [ $# -gt 1 ] || usage "$1 expects a value" ;;
  esac
  case $1 in
    --device) device=$2; shift 2 ;;
    --out) out=$2; shift 2 ;;
    --data) data=$2; shift 2 ;;
    --limit) limit=$2; shift 2 ;;
    --total) total=$2; shift 2 ;;
    --pack) pack=$2; shift 2 ;;
    --programs) bin=$2; shift 2 ;;
    -*) usage "unknown flag $1" ;;
    *) stages+=("$1"); shift ;;
  esac
done
case $device in cuda | sim | cpu) ;; *) usage "--device expects cuda, sim or cpu, found '$device'" ;; esac
[[ $limit =~ ^[1-9][0-9]*$ ]] || usage "--limit expects seconds, found '$limit'"
[[ ${total:=1000000} =~ ^[1-9][0-9]*$ ]] || usage "--total expects seconds, found '$total'"
[ ${#stages[@]} -gt 0 ] || stages=("${all_stages[@]}")
for stage in "${stages[@]}"; do
  [[ " ${all_stages[*]} " == *" $stage "* ]] || usage "unknown stage '$stage', expected some of: ${all_stages[*]}"
done

# A bundle has bin/ and tests/ beside this script; a build has both in one folder.
if [ -z "$bin" ]; then
  bin=$here/bin
  [ -x "$bin/convoy" ] || bin=$here/../build/release/bin
fi
[ -x "$bin/convoy" ] || usage "no programs in $bin: build first, or use a bundle"
bin=$(cd "$bin" && pwd) tests=$(cd "$bin/../tests" 2>/dev/null && pwd)
ls "$tests"/test_* >/dev/null 2>&1 || tests=$bin
[ ! -d "$here/share/golden" ] || export CONVOY_BUNDLE=1 CONVOY_GOLDEN=$here/share/golden
# The vendor's libraries are looked for beside the first python3 in PATH, which may be a script that starts another.
python_home=$(timeout 20 python3 -c 'import sys; print(sys.prefix)' 2>/dev/null) && [ -x "$python_home/bin/python3" ] && PATH=$python_home/bin:$PATH
export CONVOY_PROGRAM=$bin/convoy KBENCH_PROGRAM=$bin/kbench CONVOY_GPU_CHECK=$here/gpu_check.sh
mkdir -p "$out/logs" || usage "cannot write to '$out'"
out=$(cd "$out" && pwd)
[ -z "$pack" ] || { mkdir -p "$(dirname "$pack")" && pack=$(cd "$(dirname "$pack")" && pwd)/$(basename "$pack"); } || usage "cannot write to '$pack'"
for folder in "$data" "$here/data" "$here/../data"; do
  [ -n "$folder" ] && [ -d "$folder" ] && { data=$(cd "$folder" && pwd); break; }
done
[ -d "$data" ] || data=""
export CONVOY_DATA=${data:-/nonexistent}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

for part in report run devices tests kbench training ranks baselines sanitizer; do
  source "$here/gpu_check/$part.sh" || usage "a part of this program is missing"
done

commit=$(cat "$here/commit" 2>/dev/null || git -C "$here" describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
smi() { command -v nvidia-smi >/dev/null && timeout 20 nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1; }
gpu_name=$(smi name) driver=$(smi driver_version)

# Nothing runs on a device that is not there: one line says so, instead of each program by itself.
absent=$(timeout 60 "$bin/convoy" devices 2>/dev/null | grep "^$device *none" | tr -s ' ')

declare -A verdicts times
run_begin=$(now) code=0
summary() {
  echo "gpu_check: $device, ${gpu_name:-no GPU}, driver ${driver:-none}, commit $commit"
  printf '%-12s %8s  %s\n' stage seconds verdict
  local stage
  for stage in "${stages[@]}"; do
    [ -z "${verdicts[$stage]:-}" ] || printf '%-12s %8.1f  %s\n' "$stage" "${times[$stage]}" "${verdicts[$stage]}"
  done
}
for stage in "${stages[@]}"; do
  stage_begin=$(now)
  stage_seconds=$(left)
  echo "gpu_check: $stage" >&2
  if [ "$stage_seconds" -le 0 ]; then
    write_stage "$stage" "bad: not begun: the $total seconds of --total were over" ""
  elif [ -n "$absent" ] && [ "$stage" != devices ]; then
    write_stage "$stage" "bad: not begun: there is no $device here" ""
  else
    "stage_$stage"
  fi
  [ -n "${verdicts[$stage]:-}" ] || write_stage "$stage" "bad: the stage broke off" ""
  [[ ${verdicts[$stage]} == good* ]] || code=1
  summary >"$out/summary.txt"
  [ -z "$pack" ] || { tar -czf "$pack.part" -C "$out" . && mv "$pack.part" "$pack"; } || code=1
done
summary
[ -z "$absent" ] || echo "gpu_check: $absent; --device sim rehearses without a GPU"
exit $code
