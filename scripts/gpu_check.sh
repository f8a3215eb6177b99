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

# ---- JSON without a library ----

quoted() {  # the argument as a JSON string; places of this machine by name: results are shown to others
  local text=${1//$scratch\//}
  text=${text//$out/OUT}
  [ -z "$data" ] || text=${text//$data/DATA}
  text=${text//$here/.}
  printf '%s' "$text" | tr -d '\000-\010\013-\037' | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' |
    awk 'BEGIN { ORS = ""; print "\"" } { if (NR > 1) print "\\n"; print } END { print "\"" }'
}
lines_of() {  # a file's last lines (200) as a JSON list
  local first=yes line
  printf '['
  while IFS= read -r line; do
    [ $first = yes ] || printf ','
    first=no
    quoted "$line"
  done < <(tail -n 200 "$1" 2>/dev/null)
  printf ']'
}
joined() { local IFS=,; echo "$*"; }

# ---- running ----

commit=$(cat "$here/commit" 2>/dev/null || git -C "$here" describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
smi() { command -v nvidia-smi >/dev/null && timeout 20 nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1; }
gpu_name=$(smi name) driver=$(smi driver_version)
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
# Seconds that the stage has left, of its own and of all.
left() {
  awk -v a="$stage_begin" -v b="$(now)" -v l="$limit" -v c="$run_begin" -v t="$total" \
    'BEGIN { r = l - (b - a); q = t - (b - c); r = int(r < q ? r : q); print (r > 0 ? r : 0) }'
}
run_begin=$(now)

# run SECONDS LOG COMMAND...: within what is left of the stage. Sets rc (124: out of time) and seconds.
run() {
  local most=$1 log=$out/logs/$2.log begin
  shift 2
  local rest
  rest=$(left)
  [ "$rest" -lt "$most" ] && most=$rest
  begin=$(now)
  if [ "$most" -le 0 ]; then
    echo "gpu_check: the stage's time was over" >"$log"
    rc=124
  else
    (cd "$scratch" && exec timeout -k 10 "$most" "$@") >"$log" 2>&1 </dev/null
    rc=$?
  fi
  seconds=$(since "$begin")
  last_log=$log
}

# write_stage NAME VERDICT EXTRA_JSON: the stage's file. A verdict that begins with "good" is good.
write_stage() {
  {
    printf '{"stage":%s,"verdict":%s,"seconds":%s,"device":%s,"gpu":%s,"driver":%s,"commit":%s' \
      "$(quoted "$1")" "$(quoted "$2")" "$(since "$stage_begin")" "$(quoted "$device")" \
      "$(quoted "$gpu_name")" "$(quoted "$driver")" "$(quoted "$commit")"
    [ -n "$3" ] && printf ',%s' "$3"
    printf '}\n'
  } >"$out/$1.json.part" && mv "$out/$1.json.part" "$out/$1.json"
  verdicts[$1]=$2
  times[$1]=$(since "$stage_begin")
  echo "gpu_check: $1, ${times[$1]} s: $2" >&2
}

# ---- stages ----

stage_devices() {
  local verdict devices lines
  run 60 devices "$bin/convoy" devices
  devices=$(lines_of "$last_log")
  if grep "^$device" "$last_log" | grep -qv "^$device *none"; then
    verdict="good: $(grep "^$device" "$last_log" | head -n 1 | tr -s ' ')"
  else
    verdict="bad: there is no $device here; $(grep "^$device" "$last_log" | head -n 1 | tr -s ' ')"
  fi
  run 60 doctor "$bin/convoy" doctor
  lines=$(lines_of "$last_log")
  run 30 nvidia-smi nvidia-smi
  write_stage devices "$verdict" "\"devices\":$devices,\"doctor\":$lines,\"nvidia_smi\":$(lines_of "$last_log")"
}

# What a test program's log says went wrong.
problems_of() {  # LOG
  grep -E '^\[  FAILED  \].* ms\)$|: Failure|expected|terminate|[Ee]rror|exception' "$1" | cut -c1-600 | head -n 12 >"$scratch/problems"
  lines_of "$scratch/problems"
}
# A CUDA error leaves the process no device, and what comes after fails as well. So each test that has not passed runs
# again by itself, and waits for each launch: the error is its own then, and names the kernel.
# run_alone PROGRAM SUITE TESTS LOG: sets alone, a list.
run_alone() {
  local program=$1 suite=$2 test until=$((SECONDS + 90)) alone_list=()
  for test in $3; do
    grep -qF -e "[       OK ] $test (" -e "[  SKIPPED ] $test (" "$4" && continue
    [ ${#alone_list[@]} -lt 24 ] && [ $SECONDS -lt $until ] && [ "$(left)" -gt 30 ] || break
    CONVOY_SYNC=1 run 30 "tests-$program-${suite//\//_}alone-${#alone_list[@]}" "$tests/$program" --gtest_filter="$test" --gtest_color=no
    alone_list+=("{\"test\":$(quoted "$test"),\"exit\":$rc,\"problems\":$([ $rc -eq 0 ] && echo '[]' || problems_of "$last_log")}")
  done
  alone=",\"alone\":[$(joined ${alone_list[@]+"${alone_list[@]}"})]"
}

# Each suite in a process of its own, so that one that crashes or hangs takes no other with it.
# run_suites PROGRAM FILTER: adds to suites, passed, failed, skipped.
run_suites() {
  local program=$1 filter=$2 suite ok bad skip problems listed names log alone suite_rc
  [ -x "$tests/$program" ] || { suites+=("{\"program\":$(quoted "$program"),\"text\":\"not in this build\"}"); return; }
  run 60 "tests-$program-list" "$tests/$program" --gtest_list_tests --gtest_filter="$filter"
  if [ $rc -ne 0 ]; then
    failed=$((failed + 1))
    suites+=("{\"program\":$(quoted "$program"),\"failed\":1,\"exit\":$rc,\"problems\":$(lines_of "$last_log")}")
    return
  fi
  # Lines of "Suite. Suite.Test".
  listed=$(awk '/^[^ ]/ { suite = $1; next } { print suite, suite $1 }' "$last_log")
  for suite in $(awk '{ print $1 }' <<<"$listed" | sort -u); do
    names=$(awk -v s="$suite" '$1 == s { print $2 }' <<<"$listed")
    local chosen="$suite*"
    [ "$filter" != '*' ] && chosen=$(paste -s -d : <<<"$names")
    run "$suite_limit" "tests-$program-${suite//\//_}" "$tests/$program" --gtest_filter="$chosen" --gtest_color=no
    log=$last_log suite_rc=$rc problems="[]" alone=""
    ok=$(grep -c '^\[       OK \]' "$log")
    bad=$(grep '^\[  FAILED  \]' "$log" | grep -c ' ms)$')
    skip=$(grep '^\[  SKIPPED \]' "$log" | grep -c ' ms)$')
    local took=$seconds
    if [ $suite_rc -ne 0 ]; then
      # One that crashed or ran out of time has failed, though it did not say so.
      [ "$bad" -eq 0 ] && bad=1
      problems=$(problems_of "$log")
      echo "gpu_check:   $program $suite failed (exit $suite_rc)" >&2
      [ "$device" = cuda ] && [ "$names" != "${names%[[:space:]]*}" ] && run_alone "$program" "$suite" "$names" "$log"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    suites+=("{\"program\":$(quoted "$program"),\"suite\":$(quoted "${suite%.}"),\"passed\":$ok,\"failed\":$bad,\"skipped\":$skip,\"exit\":$suite_rc,\"seconds\":$took,\"problems\":$problems$alone}")
  done
}
write_tests() {
  local verdict="good:"
  [ "$failed" -gt 0 ] && verdict="bad:"
  [ $((passed + failed)) -eq 0 ] && verdict="bad: no test ran;"
  write_stage tests "$verdict $passed passed, $failed failed, $skipped skipped" "\"suites\":[$(joined "${suites[@]}")]"
}

# What skips here has not been shown.
check_instructions() {
  suite_limit=150
  run_suites test_cuda '*'
  failed=$((failed + skipped)) skipped=0
}

stage_tests() {
  local programs program
  suites=() passed=0 failed=0 skipped=0 suite_limit=240
  local -A filters=()
  if [ "$device" = cuda ]; then
    check_instructions
    export CONVOY_TEST_DEVICE=cuda
    suite_limit=90
    programs=(test_gpu_kernels test_train_step test_nn_sim test_runtime_sim)
    # The other suites there are about the simulator alone.
    filters=([test_train_step]='*/cuda' [test_nn_sim]='-SimFusion.*:SimTraffic.*'
      [test_runtime_sim]='HalfParameters.*:Conv2dNormAct.*:SynchronisedBatchNorm.*')
  elif [ "$device" = sim ]; then
    programs=(test_sim test_gpu_kernels test_runtime_sim test_train_step test_nn_sim)
  else
    programs=(test_kernels test_runtime test_nn test_data test_apps)
  fi
  if [ -n "$quick" ]; then
    case $device in
      cpu) run_suites test_kernels 'Softmax*' ;;
      *) run_suites test_gpu_kernels 'GemmLadder.Slivers' ;;
    esac
  else
    for program in "${programs[@]}"; do run_suites "$program" "${filters[$program]:-*}"; done
  fi
  unset CONVOY_TEST_DEVICE
  write_tests
}

stage_sanitizer() {
  local tool="" path results=() verdict=good worst="" name filter seconds_each errors
  for path in "$(command -v compute-sanitizer)" /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda*/compute-sanitizer/compute-sanitizer; do
    [ -x "$path" ] && { tool=$path; break; }
  done
  if [ "$device" != cuda ] || [ -z "$tool" ]; then
    write_stage sanitizer "good: nothing to run here: $([ -z "$tool" ] && echo "compute-sanitizer is not installed" || echo "it is for cuda")" ""
    return
  fi
  export CONVOY_TEST_DEVICE=cuda CONVOY_TEST_FENCES=0  # it knows where an allocation ends
  while read -r name filter seconds_each; do
    run "$seconds_each" "sanitizer-$name-${filter//[^A-Za-z0-9]/_}" "$tool" --tool "$name" --error-exitcode 99 \
      "$tests/test_gpu_kernels" --gtest_filter="$filter" --gtest_brief=1
    errors=$(grep -E 'SUMMARY' "$last_log" | tail -n 1)
    results+=("{\"tool\":$(quoted "$name"),\"filter\":$(quoted "$filter"),\"exit\":$rc,\"seconds\":$seconds,\"summary\":$(quoted "$errors"),\"lines\":$([ $rc -eq 0 ] && echo '[]' || (grep -E '^=========' "$last_log" | head -n 40 >"$scratch/lines"; lines_of "$scratch/lines"))}")
    [ $rc -eq 0 ] || { verdict=bad; worst="$worst; $name $filter: ${errors:-exit $rc}"; }
    if grep -q 'Device not supported' "$last_log"; then
      verdict="good: nothing to run here: compute-sanitizer does not support this machine"
      worst=""
      break
    fi
  done <<'LIST'
memcheck GemmLadder.*:GemmWgmma.* 120
memcheck Conv2d*-Conv2dVendor.* 150
memcheck *-Gemm*:Conv2d*:Repeat*:*HundredTimes* 150
racecheck GemmLadder.SeveralTiles:GemmLadder.Slivers:GemmWgmma.* 90
racecheck Conv2dLadder.*:Conv2dFused.* 120
synccheck GemmLadder.*:BatchNorm*:Reduce* 60
LIST
  unset CONVOY_TEST_DEVICE CONVOY_TEST_FENCES
  write_stage sanitizer "$verdict$worst" "\"runs\":[$(joined "${results[@]}")]"
}

# bench NAME SECONDS FLAGS...: one kbench run; adds its JSON to parts and what went wrong to bad. The seconds are a share
# of a stage of 570: in a shorter one each run has less, and the last are not left without any.
bench() {
  local name=$1 most=$(($2 * (stage_seconds < 570 ? stage_seconds : 570) / 570)) budget
  shift 2
  rm -f "$scratch/$name.json"
  budget=$(left)
  [ "$budget" -gt "$most" ] && budget=$most
  # kbench stops by itself before its time is over; timeout is for one that hangs.
  run $((most + 30)) "kbench-$name" "$bin/kbench" "$@" --device "$device" --json "$scratch/$name.json" \
    --max-total-seconds "$((budget > 60 ? budget - 15 : budget * 3 / 4 + 1))"
  if [ -s "$scratch/$name.json" ]; then parts+=("$(quoted "$name"):$(cat "$scratch/$name.json")"); fi
  [ $rc -eq 0 ] || bad="$bad; $name: exit $rc, $(grep -cE ' (wrong|failed) ' "$last_log") wrong or failed"
  [ -s "$scratch/$name.json" ] || bad="$bad; $name left no result: $(tail -n 1 "$last_log" | cut -c1-200)"
  grep -q '^ended early' "$last_log" && notes="$notes; $name $(grep '^ended early' "$last_log")"
  measured=$((measured + $(grep -c ' right ' "$last_log")))
  while IFS= read -r line; do notes="$notes; ${line#plan }"; done < <(grep '^plan ' "$last_log")
}
write_bench() {
  local verdict="good: $measured variants right"
  [ -n "$bad" ] && verdict="bad: $measured variants right$bad"
  write_stage "$1" "$verdict$notes" "\"parts\":{$(joined "${parts[@]}")}"
}

stage_kernels() {
  parts=() bad="" notes="" measured=0
  if [ "$device" != cuda ] || [ -n "$quick" ]; then
    bench gemm 60 gemm --m 65 --n 40 --k 33 --repeats 3
    bench memory 60 memory --count 4096 --repeats 3
    bench batch_norm 60 batch_norm --n 2 --h 5 --c 16 --repeats 3
  else
    bench gemm_f16 150 gemm --dtype f16 --max-seconds 0.7
    bench gemm_bf16 40 gemm --dtype bf16 --m 4096 --n 4096 --k 4096 --max-seconds 0.7
    bench gemm_f32 60 gemm --dtype f32 --m 4096 --n 4096 --k 4096 --max-seconds 1
    bench gemm_cifar 60 gemm --dtype f16 --shapes cifar --max-seconds 0.5 --variant 'plan,tensor_core,wgmma,vendor*'
    bench memory 80 memory --dtype f16,f32 --count 67108864 --max-seconds 0.7
    bench batch_norm 120 batch_norm --dtype f16 --shapes resnet50 --max-seconds 0.5
  fi
  write_bench kernels
}

stage_layers() {
  parts=() bad="" notes="" measured=0
  if [ "$device" != cuda ] || [ -n "$quick" ]; then
    bench conv2d 90 conv2d --n 2 --c 16 --h 9 --w 8 --k 24 --r 3 --stride 2 --repeats 3
  else
    bench resnet50 330 conv2d --dtype f16 --shapes resnet50 --max-seconds 0.2 --variant 'plan,vendor*'
    bench cifar 120 conv2d --dtype f16 --shapes cifar --max-seconds 0.4
    bench resnet20 60 conv2d --dtype f16 --shapes resnet20 --max-seconds 0.3
  fi
  write_bench layers
}

# train NAME FLAGS...: a run in $scratch/NAME. Adds a line to runs; bad where it did not end well.
train() {
  local name=$1 summary steps
  shift
  run "$train_limit" "train-$name" "$bin/convoy" train --device "$device" --seed 1 --output "$scratch/$name" "$@"
  summary=$(tail -n 1 "$scratch/$name/summary.csv" 2>/dev/null)
  # The middle of the step times of the run's second half, in which nothing is planned or captured.
  steps=$(sed -n 's/.*"images_per_second":\([0-9.]*\).*/\1/p' "$scratch/$name/metrics.jsonl" 2>/dev/null |
    awk '{ v[NR] = $1 } END { if (NR) { n = 0; for (i = int(NR / 2) + 1; i <= NR; ++i) w[++n] = v[i]; for (i = 1; i <= n; ++i) for (j = i + 1; j <= n; ++j) if (w[j] < w[i]) { t = w[i]; w[i] = w[j]; w[j] = t } print w[int((n + 1) / 2)] } }')
  runs+=("{\"name\":$(quoted "$name"),\"flags\":$(quoted "$*"),\"exit\":$rc,\"seconds\":$seconds,\"images_per_second\":${steps:-null},\"summary_header\":$(quoted "$(head -n 1 "$scratch/$name/summary.csv" 2>/dev/null)"),\"summary\":$(quoted "$summary"),\"last_lines\":$(tail -n 3 "$last_log" >"$scratch/lines"; lines_of "$scratch/lines")}")
  [ $rc -eq 0 ] || bad="$bad; $name: exit $rc, $(tail -n 1 "$last_log" | cut -c1-160)"
}
weights_of() { find "$scratch/$1/checkpoints" -name model.safetensors 2>/dev/null | sort | tail -n 1; }
# same A B WHAT: two runs must have left the same bytes.
same() {
  local a b
  a=$(weights_of "$1") b=$(weights_of "$2")
  if [ -n "$a" ] && [ -n "$b" ] && cmp -s "$a" "$b"; then
    facts+=("$(quoted "$3"):true")
  else
    facts+=("$(quoted "$3"):false")
    bad="$bad; not so: $3"
  fi
}

# Forty steps each, on pictures that need no decoding: what baselines/train_step.py measures of PyTorch.
train_resnets() {
  local model split pictures=$scratch/pictures common
  run 60 synth-pictures "$bin/convoy" synth "$pictures" --train-per-class 128 --val-per-class 2 --img-size 224 --seed 3
  mkdir -p "$pictures/packs"
  for split in train val; do
    run 60 "pack-pictures-$split" "$bin/convoy" pack "$pictures" --split $split --format raw --size 224 --output "$pictures/packs/$split.pack"
  done
  common=(--dataset image_folder --data-dir "$pictures/packs" --img-size 224 --train-crop-mode random --batch-size 256 --epochs 8
    --warmup-epochs 0 --limit-val-batches 1 --val-batch-size 20 --amp --amp-dtype bfloat16 "$@")
  for model in resnet18 resnet50; do
    train "$model" --model $model "${common[@]}"
    train "${model}_composed" --model $model --no-fuse "${common[@]}"
  done
}

stage_training() {
  runs=() facts=() bad="" train_limit=150
  local digits graph=() eager=() cifar=()
  "$bin/convoy" train --help 2>/dev/null | grep -q -- '--cuda-graph' && [ "$device" != cpu ] && graph=(--cuda-graph) eager=(--no-cuda-graph)
  if [ "$device" != cuda ] || [ -n "$quick" ] || [ ! -d "$data/mnist" ]; then
    digits=$scratch/digits
    run 60 synth "$bin/convoy" synth "$digits" --train-per-class 8 --val-per-class 2 --img-size 28 --seed 3
    set -- --dataset image_folder --data-dir "$digits" --img-size 28 --model lenet5 --batch-size 16 --epochs 1 --warmup-epochs 0
    [ "$device" = cuda ] || set -- "$@" --max-steps 3
  else
    set -- --dataset mnist --data-dir "$data/mnist" --model lenet5 --epochs 2
  fi
  train lenet5 "$@" ${eager[@]+"${eager[@]}"}
  train lenet5_again "$@" ${eager[@]+"${eager[@]}"}
  same lenet5 lenet5_again "the same command leaves the same weights"
  if [ ${#graph[@]} -gt 0 ]; then
    train lenet5_graph "$@" "${graph[@]}"
    same lenet5 lenet5_graph "a replayed graph leaves the weights of the eager run"
    CONVOY_PROGRAMMATIC=1 train lenet5_programmatic "$@" "${graph[@]}"
    same lenet5 lenet5_programmatic "kernels that begin before their predecessor's end leave the same weights"
  fi
  [ "$device" = cpu ] || train lenet5_f16 "$@" --amp
  if [ "$device" = cuda ] && [ -d "$data/cifar10" ] && [ -z "$quick" ]; then
    cifar=(--dataset cifar10 --data-dir "$data/cifar10" --model resnet20 --batch-size 128 --epochs 2)
    train resnet20 "${cifar[@]}" ${eager[@]+"${eager[@]}"}
    [ ${#graph[@]} -gt 0 ] && train resnet20_graph "${cifar[@]}" "${graph[@]}" && same resnet20 resnet20_graph "resnet20: a replayed graph leaves the weights of the eager run"
    train resnet20_f16 "${cifar[@]}" --amp
    train resnet20_bf16 "${cifar[@]}" --amp --amp-dtype bfloat16
    train resnet20_composed "${cifar[@]}" --amp --no-fuse
    [ ${#graph[@]} -gt 0 ] && train resnet20_f16_graph "${cifar[@]}" --amp "${graph[@]}"
    if [ ${#graph[@]} -gt 0 ]; then
      CONVOY_PROGRAMMATIC=1 train resnet20_f16_programmatic "${cifar[@]}" --amp "${graph[@]}"
      same resnet20_f16_graph resnet20_f16_programmatic "kernels that begin early leave the same weights"
    fi
  fi
  [ "$device" = cuda ] && [ -z "$quick" ] && train_resnets "${graph[@]}"
  local verdict="good: ${#runs[@]} runs"
  [ -n "$bad" ] && verdict="bad: ${bad#; }"
  write_stage training "$verdict" "\"runs\":[$(joined ${runs[@]+"${runs[@]}"})],\"facts\":{$(joined ${facts[@]+"${facts[@]}"})}"
}

stage_ranks() {
  local verdict=good shown
  if [ "$device" = sim ]; then
    write_stage ranks "good: nothing to run here: it is for cuda, and rehearsed on cpu" ""
    return
  fi
  run "$limit" ranks "$here/nccl_one_gpu.sh" --programs "$bin" --device "$device" --limit 120
  [ $rc -eq 0 ] || verdict=bad
  shown=$(lines_of "$last_log")
  write_stage ranks "$verdict: $(grep -c '^good' "$last_log") right, $(grep -c '^BAD' "$last_log") not$([ $rc -eq 0 ] || echo ", exit $rc: $(tail -n 1 "$last_log" | cut -c1-160)")" "\"output\":$shown"
}

stage_baselines() {
  local folder=$here/baselines python=${CONVOY_BENCH_PYTHON:-python3} verdict device_name=$device
  if ! "$python" -c 'import torch' 2>/dev/null; then
    write_stage baselines "good: nothing to run here: $python has no PyTorch" ""
    return
  fi
  [ "$device" = cuda ] || device_name=cpu
  set -- all --device "$device_name" --json "$scratch/baselines.json" --max-seconds "$(($(left) * 8 / 10))"
  [ -n "$quick" ] || [ "$device" != cuda ] && set -- "$@" --quick
  [ -d "$data/cifar10" ] && set -- "$@" --cifar10 "$data/cifar10"
  run "$limit" baselines "$python" "$folder/baselines.py" "$@"
  verdict="good: $(grep -o '"seconds"' "$scratch/baselines.json" 2>/dev/null | wc -l) measurements"
  [ $rc -eq 0 ] || verdict="bad: exit $rc, $(tail -n 1 "$last_log" | cut -c1-160)"
  write_stage baselines "$verdict" "$([ -s "$scratch/baselines.json" ] && printf '"results":%s' "$(cat "$scratch/baselines.json")")"
}

# ---- all of them ----

declare -A verdicts times
code=0
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
  if [ "$stage_seconds" -gt 0 ]; then "stage_$stage"; else write_stage "$stage" "bad: not begun: the $total seconds of --total were over" ""; fi
  [ -n "${verdicts[$stage]:-}" ] || write_stage "$stage" "bad: the stage broke off" ""
  [[ ${verdicts[$stage]} == good* ]] || code=1
  summary >"$out/summary.txt"
  [ -z "$pack" ] || { tar -czf "$pack.part" -C "$out" . && mv "$pack.part" "$pack"; } || code=1
done
summary
exit $code
