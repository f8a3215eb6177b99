# Stage ranks: several ranks on the one GPU.

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
