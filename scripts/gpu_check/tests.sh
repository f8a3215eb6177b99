# Stage tests: every test of the device, and on cuda first each instruction beside its meaning on the simulator.

# What a test program's log says went wrong.
problems_of() {  # LOG
  grep -E '^\[  FAILED  \].* ms\)$|: Failure|expected|terminate|[Ee]rror|exception' "$1" | cut -c1-600 | head -n 12 >"$scratch/problems"
  lines_of "$scratch/problems"
}
# A CUDA error leaves the process no device, and what comes after fails as well. So each test that has not passed runs
# again by itself, and waits for each launch: the error is its own then, and names the kernel.
# run_alone PROGRAM SUITE TESTS LOG: sets alone, a list.
run_alone() {
  local program=$1 suite=$2 test until=$((SECONDS + 60)) alone_list=()
  for test in $3; do
    grep -qF -e "[       OK ] $test (" -e "[  SKIPPED ] $test (" "$4" && continue
    [ ${#alone_list[@]} -lt 24 ] && [ $SECONDS -lt $until ] && [ "$(left)" -gt 30 ] || break
    CONVOY_SYNC=1 run 15 "tests-$program-${suite//\//_}alone-${#alone_list[@]}" "$tests/$program" --gtest_filter="$test" --gtest_color=no
    alone_list+=("{\"test\":$(quoted "$test"),\"exit\":$rc,\"problems\":$([ $rc -eq 0 ] && echo '[]' || problems_of "$last_log")}")
  done
  alone=",\"alone\":[$(joined ${alone_list[@]+"${alone_list[@]}"})]"
}

# Each suite in a process of its own, so that one that crashes or hangs takes no other with it.
# run_suites PROGRAM FILTER [MARK]: adds to suites, passed, failed, skipped. MARK tells a second run from the first.
run_suites() {
  local program=$1 filter=$2 mark=${3:-} suite ok bad skip problems listed names log alone suite_rc
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
    run "$suite_limit" "tests-$program-${suite//\//_}$mark" "$tests/$program" --gtest_filter="$chosen" --gtest_color=no
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
      [ "$device" = cuda ] && [ "$names" != "${names%[[:space:]]*}" ] && run_alone "$program" "$suite$mark" "$names" "$log"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    suites+=("{\"program\":$(quoted "$program"),\"suite\":$(quoted "${suite%.}$mark"),\"passed\":$ok,\"failed\":$bad,\"skipped\":$skip,\"exit\":$suite_rc,\"seconds\":$took,\"problems\":$problems$alone}")
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

# The cases are small, and a large GPU has a multiprocessor for each of their tiles. With three, as the simulator has,
# they take the tiles of large problems, and blocks take one after the other.
check_large_tiles() {
  export CONVOY_MULTIPROCESSORS=3
  suite_limit=60
  run_suites test_gpu_kernels 'Gemm*:Conv2d*-Conv2dVendor.*' _of_three
  unset CONVOY_MULTIPROCESSORS
}

stage_tests() {
  local programs program
  suites=() passed=0 failed=0 skipped=0 suite_limit=240
  local -A filters=()
  if [ "$device" = cuda ]; then
    check_instructions
    export CONVOY_TEST_DEVICE=cuda
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
    for program in "${programs[@]}"; do
      # Kernels' cases take seconds; where one hangs, the other suites need the time.
      [ "$device" != cuda ] || suite_limit=$([ $program = test_gpu_kernels ] && echo 60 || echo 90)
      run_suites "$program" "${filters[$program]:-*}"
    done
    [ "$device" = cuda ] && check_large_tiles
  fi
  unset CONVOY_TEST_DEVICE
  write_tests
}
