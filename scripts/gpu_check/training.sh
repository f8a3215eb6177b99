# Stage training: runs that must leave the same weights, and what a step takes.

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
  speeds[$name]=$steps
  [ $rc -eq 0 ] || bad="$bad; $name: exit $rc, $(tail -n 1 "$last_log" | cut -c1-160)"
}
# faster A B: images per second of A over those of B.
faster() {
  awk -v a="${speeds[$1]:-0}" -v b="${speeds[$2]:-0}" 'BEGIN { if (a > 0 && b > 0) printf "%.4f", a / b }'
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
  declare -A speeds=()
  runs=() facts=() bars=() notes="" bad="" train_limit=150
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
    # On the device: what is compared is the step, not the loader.
    cifar=(--dataset cifar10 --data-dir "$data/cifar10" --resident --model resnet20 --batch-size 128 --epochs 2)
    train resnet20 "${cifar[@]}" ${eager[@]+"${eager[@]}"}
    [ ${#graph[@]} -gt 0 ] && train resnet20_graph "${cifar[@]}" "${graph[@]}" && same resnet20 resnet20_graph "resnet20: a replayed graph leaves the weights of the eager run"
    train resnet20_f16 "${cifar[@]}" --amp ${eager[@]+"${eager[@]}"}
    train resnet20_bf16 "${cifar[@]}" --amp --amp-dtype bfloat16 ${eager[@]+"${eager[@]}"}
    if [ ${#graph[@]} -gt 0 ]; then
      train resnet20_f16_graph "${cifar[@]}" --amp "${graph[@]}"
      train resnet20_f16_graph_composed "${cifar[@]}" --amp --no-fuse "${graph[@]}"
      same resnet20_f16 resnet20_f16_graph "resnet20 f16: a replayed graph leaves the weights of the eager run"
      bar "resnet20 f32 at batch 128, replayed over eager" 1.3 "$(faster resnet20_graph resnet20)"
      bar "resnet20 f16 at batch 128, replayed over eager" 1.3 "$(faster resnet20_f16_graph resnet20_f16)"
      CONVOY_PROGRAMMATIC=1 train resnet20_f16_programmatic "${cifar[@]}" --amp "${graph[@]}"
      same resnet20_f16_graph resnet20_f16_programmatic "kernels that begin early leave the same weights"
    fi
  fi
  [ "$device" = cuda ] && [ -z "$quick" ] && train_resnets "${graph[@]}"
  local verdict="good: ${#runs[@]} runs"
  [ -n "$bad" ] && verdict="bad: ${bad#; }"
  write_stage training "$verdict$notes" "\"bars\":[$(joined ${bars[@]+"${bars[@]}"})],\"runs\":[$(joined ${runs[@]+"${runs[@]}"})],\"facts\":{$(joined ${facts[@]+"${facts[@]}"})}"
}
