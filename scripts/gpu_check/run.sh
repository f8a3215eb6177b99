# How gpu_check.sh runs a program: within the time that is left, what it prints in a log.

now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
# Seconds that the stage has left, of its own and of all.
left() {
  awk -v a="$stage_begin" -v b="$(now)" -v l="$limit" -v c="$run_begin" -v t="$total" \
    'BEGIN { r = l - (b - a); q = t - (b - c); r = int(r < q ? r : q); print (r > 0 ? r : 0) }'
}

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
