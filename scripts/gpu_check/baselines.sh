# Stage baselines: the same measurements by PyTorch.

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
