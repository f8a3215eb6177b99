# Stage sanitizer: compute-sanitizer over the kernels' tests.

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
