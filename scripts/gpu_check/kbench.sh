# Stages kernels and layers: what kbench measures.

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
# rows_of NAME: the rows of a run, as op, pass, name, variant, dtype, chosen, of_vendor and of_copy.
rows_of() {
  awk -F '": ' '
    /^  \{/ { split("", row) }
    /^   "/ { key = $1; value = $2; sub(/^ *"/, "", key); gsub(/^"|"?,?$/, "", value); row[key] = value }
    /^  \}/ { if ("variant" in row) print row["op"] "\t" row["pass"] "\t" row["name"] "\t" row["variant"] "\t" \
      row["dtype"] "\t" row["chosen"] "\t" row["of_vendor"] "\t" row["of_copy"] }' "$scratch/$1.json" 2>/dev/null
}
# ratio NAME least|mean COLUMN ROWS CONDITION: of the rows that awk's condition chooses, the least or the geometric mean.
# Nothing where there are fewer, or one has none: it was wrong, failed, or had nothing to be compared with.
ratio() {
  rows_of "$1" | awk -F '\t' -v how="$2" -v column="$3" -v rows="$4" "$5"' {
      ++count
      if ($column == "") missing = 1
      else { sum += log($column); if (count == 1 || $column + 0 < least) least = $column + 0 }
    }
    END { if (count >= rows && count > 0 && !missing) printf "%.4f", how == "mean" ? exp(sum / count) : least }'
}
# The same of a run that came to its end.
whole_ratio() { if grep -q '^ "ended_early": "",' "$scratch/$1.json" 2>/dev/null; then ratio "$@"; fi; }

write_bench() {
  local verdict="good: $measured variants right"
  [ -n "$bad" ] && verdict="bad: $measured variants right$bad"
  write_stage "$1" "$verdict$notes" "\"bars\":[$(joined ${bars[@]+"${bars[@]}"})],\"parts\":{$(joined ${parts[@]+"${parts[@]}"})}"
}

stage_kernels() {
  parts=() bars=() bad="" notes="" measured=0
  if [ "$device" != cuda ] || [ -n "$quick" ]; then
    bench gemm 60 gemm --m 65 --n 40 --k 33 --repeats 3
    bench memory 60 memory --count 4096 --repeats 3
    bench batch_norm 60 batch_norm --n 2 --h 5 --c 16 --repeats 3
  else
    bench gemm_f16 150 gemm --dtype f16 --max-seconds 0.7
    bench gemm_bf16 40 gemm --dtype bf16 --m 4096 --n 4096 --k 4096 --max-seconds 0.7
    bench gemm_f32 60 gemm --dtype f32 --m 4096 --n 4096 --k 4096 --max-seconds 1
    bench gemm_cifar 60 gemm --dtype f16 --shapes cifar --max-seconds 0.5 --variant 'plan,tensor_core,wgmma*,vendor*'
    bench memory 80 memory --dtype f16,f32 --count 67108864 --max-seconds 0.7
    bench batch_norm 120 batch_norm --dtype f16 --shapes resnet50 --max-seconds 0.5
    bar "gemm f16 4096 by tensor_core, of cuBLASLt, least of nt, nn and tn" 0.6 "$(ratio gemm_f16 least 7 3 '$3 ~ /^4096 / && $4 == "tensor_core"')"
    bar "gemm f16 4096 by wgmma, of cuBLASLt, least of nt, nn and tn" 0.8 "$(ratio gemm_f16 least 7 3 '$3 ~ /^4096 / && $4 == "wgmma"')"
    bar "memory-bound kernels, of a copy's bandwidth, least" 0.85 "$(whole_ratio memory least 8 1 '$6 == "true" || $4 == ""')"
    bar "batch_norm f16, of a copy's bandwidth, least" 0.85 "$(whole_ratio batch_norm least 8 1 '$6 == "true" || $4 == ""')"
  fi
  write_bench kernels
}

stage_layers() {
  parts=() bars=() bad="" notes="" measured=0
  if [ "$device" != cuda ] || [ -n "$quick" ]; then
    bench conv2d 90 conv2d --n 2 --c 16 --h 9 --w 8 --k 24 --r 3 --stride 2 --repeats 3
  else
    bench resnet50 330 conv2d --dtype f16 --shapes resnet50 --max-seconds 0.2 --variant 'plan,vendor*'
    bar "conv2d f16 of resnet50, of cuDNN, geometric mean over passes and geometries" 0.5 "$(whole_ratio resnet50 mean 7 1 '$6 == "true" || $4 == ""')"
    bench cifar 120 conv2d --dtype f16 --shapes cifar --max-seconds 0.4
    bench resnet20 60 conv2d --dtype f16 --shapes resnet20 --max-seconds 0.3
  fi
  write_bench layers
}
