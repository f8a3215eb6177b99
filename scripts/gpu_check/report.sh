# What gpu_check.sh leaves behind: JSON without a library, a file for each stage.

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

# bar TEXT LEAST [FOUND]: one of the ratios that are to be reached, for the stage's list of bars. Without FOUND: it was
# not, or not wholly, measured.
bar() {
  local holds=null
  [ -z "${3:-}" ] || holds=$(awk -v found="$3" -v least="$2" 'BEGIN { print (found >= least ? "true" : "false") }')
  bars+=("{\"bar\":$(quoted "$1"),\"least\":$2,\"found\":${3:-null},\"holds\":$holds}")
  case $holds in true) holds=holds ;; false) holds=missed ;; *) holds="not measured" ;; esac
  notes="$notes; bar $holds: $1 ${3:-}${3:+, }$2 asked"
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
