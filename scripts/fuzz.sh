#!/usr/bin/env bash
# Fuzzes what reads files from outside, with clang's libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer.
#   ./scripts/fuzz.sh [SECONDS [TARGET...]]     60 seconds each; targets: bitmap cifar idx jpeg json pack png safetensors store
# Starts from tests/fuzz/corpus and, where they are, the images of CONVOY_DATA/torture; what it learns stays in
# build/fuzz/corpus. A finding's input is put beside it and named; mended, it belongs into tests/fuzz/corpus, where
# the tests read it.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -gt 0 ] && shift
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(bitmap cifar idx jpeg json pack png safetensors store)
data=${CONVOY_DATA:-$PWD/../shared/data}

./scripts/setup.sh clang
./scripts/configure.sh fuzz
cmake --build build/fuzz --target "${targets[@]/#/fuzz_}" >build/fuzz.log || { tail -n 40 build/fuzz.log >&2; exit 1; }

# Files of an ending out of the archives and folders of damaged and odd images.
unpack_seeds() {  # TARGET ENDING
  local seeds=build/fuzz/seeds/$1 archive file
  [ -d "$data/torture" ] && [ ! -d "$seeds" ] || return 0
  mkdir -p "$seeds"
  for archive in "$data"/torture/fuzz_corpus*.tar.gz; do
    tar xzf "$archive" -C "$seeds" --wildcards "*/$1" --strip-components=2 2>/dev/null || true
  done
  find "$data/torture" -type f -size -64k -iname "*.$2" | while read -r file; do
    cp "$file" "$seeds/$(echo "$file" | md5sum | cut -c 1-16)"
  done
}

failed=()
# A reader may take a few times what its input is long, and what its limits allow: a picture of 2^18 pixels, a frame.
# Nothing that an input of 64 KiB asks for is as long as these, nor lasts ten seconds.
limits=(-max_len=65536 -timeout=10 -malloc_limit_mb=128 -rss_limit_mb=1024)

for target in "${targets[@]}"; do
  corpus=build/fuzz/corpus/$target
  mkdir -p "$corpus" "build/fuzz/findings/$target"
  folders=("$corpus" "tests/fuzz/corpus/$target")
  case $target in
    jpeg) unpack_seeds jpeg 'jp*g' ;;
    png) unpack_seeds png png ;;
    bitmap) unpack_seeds bitmap bmp ;;
  esac
  [ -d "build/fuzz/seeds/$target" ] && folders+=("build/fuzz/seeds/$target")
  echo "fuzz: $target for $seconds s"
  log=build/fuzz/$target.log
  if build/fuzz/bin/fuzz_"$target" -max_total_time="$seconds" "${limits[@]}" \
    -artifact_prefix="build/fuzz/findings/$target/" -print_final_stats=1 "${folders[@]}" 2>"$log"; then
    grep -E 'number_of_executed_units|peak_rss_mb' "$log" | sed 's/^stat::/  /'
  else
    failed+=("$target")
    grep -vE '^#[0-9]+.*(NEW|REDUCE|pulse)' "$log" | tail -n 40 >&2
  fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: findings in ${failed[*]}; inputs in build/fuzz/findings" >&2; exit 1; }
echo "fuzz: no findings"
