#!/usr/bin/env bash
# Gathers a Release build into one folder that runs elsewhere, and packs it: for a machine with an
# NVIDIA driver and nothing else of ours. Unpacked there, ./gpu_check.sh checks and measures.
#   ./scripts/bundle.sh                                 build/bundle/convoy-COMMIT.tar.xz
#   ./scripts/bundle.sh --with-data mnist|cifar10|photos  packs a data set instead, from $CONVOY_DATA:
#                                                       build/bundle/convoy-data-NAME.tar.xz
#   --output FOLDER    where to write (build/bundle)
#   --lineinfo         keeps the kernels' source lines, for compute-sanitizer: a third more of them, and over the limit
#   --no-build         takes what is built already
# Data unpacks beside the programs' folder or into it; gpu_check.sh finds it in either.
set -euo pipefail
cd "$(dirname "$0")/.."

output=build/bundle
data=""
build=yes
lineinfo=OFF
limit=30000000  # bytes
while [ $# -gt 0 ]; do
  case $1 in
    --output) output=$2 && shift 2 ;;
    --with-data) data=$2 && shift 2 ;;
    --lineinfo) lineinfo=ON limit=40000000 && shift ;;
    --no-build) build=no && shift ;;
    *) echo "bundle: unknown flag $1; see the head of scripts/bundle.sh" >&2 && exit 2 ;;
  esac
done
mkdir -p "$output"

# pack ARCHIVE FOLDER NAME: with names and times that are the same each time.
pack() {
  local times
  times=$(git log -1 --format=%ct 2>/dev/null || echo 0)
  tar --sort=name --mtime="@$times" --owner=0 --group=0 --numeric-owner -C "$2" -cf - "$3" |
    xz --x86 --lzma2=preset=9e,dict=128MiB >"$1.part"  # most of it is processor code
  mv "$1.part" "$1"
  echo "bundle: $1, $(du -h --apparent-size "$1" | cut -f1)"
}

if [ -n "$data" ]; then
  case $data in mnist | cifar10 | photos) ;; *) echo "bundle: --with-data expects mnist, cifar10 or photos, found $data" >&2; exit 2 ;; esac
  [ -n "${CONVOY_DATA:-}" ] || { echo "bundle: --with-data expects CONVOY_DATA to name the folder that holds $data/" >&2; exit 2; }
  [ -d "$CONVOY_DATA/$data" ] || { echo "bundle: $CONVOY_DATA/$data is not there" >&2; exit 3; }
  stage=$(mktemp -d)
  trap 'rm -rf "$stage"' EXIT
  mkdir "$stage/data"
  cp -rL "$CONVOY_DATA/$data" "$stage/data/"
  chmod -R u+w "$stage/data"
  pack "$output/convoy-data-$data.tar.xz" "$stage" data
  exit 0
fi

programs=(convoy_program kbench)
tests=(test_apps test_data test_dist test_gpu_kernels test_kernels test_nn test_nn_sim test_runtime test_runtime_sim test_sim test_train_step)
if [ $build = yes ]; then
  ./scripts/setup.sh xz-utils file patchelf
  ./scripts/configure.sh release -DCONVOY_LINEINFO=$lineinfo
  targets=$(cmake --build build/release --target help)
  if [[ $targets == *test_cuda:* ]]; then
    tests+=(test_cuda)
  else
    echo "bundle: nvcc was not found: this bundle has the devices cpu and sim only"
  fi
  cmake --build build/release --target "${programs[@]}" "${tests[@]}"
fi

commit=$(git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || echo unknown)
name=convoy-$commit
folder=$output/$name
rm -rf "$folder"
cmake --install build/release --component bundle --strip --prefix "$folder" >/dev/null
echo "$commit" >"$folder/commit"

# Libraries that a bare machine lacks: all that the programs need, but for glibc and the loader.
glibc='^(ld-linux.*|lib(c|m|dl|pthread|rt|resolv|util|mvec|BrokenLocale|anl|nsl|thread_db))\.so'
find "$folder" -type f -exec file {} + | awk -F: '/ELF/ {print $1}' >"$output/elf.txt"
while read -r elf; do
  LD_LIBRARY_PATH='' ldd "$elf" | awk '$3 ~ /^\// {print $3} /not found/ {print "bundle: " $0 > "/dev/stderr"; exit 1}'
done <"$output/elf.txt" | sort -u | while read -r library; do
  base=$(basename "$library")
  [[ $base =~ $glibc ]] && continue
  [ -e "$folder/lib/$base" ] && continue
  cp -L "$library" "$folder/lib/$base"
  chmod u+w "$folder/lib/$base"
  strip --strip-unneeded "$folder/lib/$base" 2>/dev/null || true
done
rm -f "$output/elf.txt"
# A library's own needs are looked for where it says, not where the program does.
patchelf --set-rpath '$ORIGIN' "$folder"/lib/*.so*

# What glibc must be there: the newest version that anything in the bundle asks for.
needed=$({ find "$folder" -type f -exec objdump -T {} + 2>/dev/null || true; } |  # not all are programs
  grep -o 'GLIBC_2\.[0-9]*' | sort -uV | tail -n 1)
echo "${needed#GLIBC_}" >"$folder/glibc"

pack "$output/$name.tar.xz" "$output" "$name"
echo "bundle: commit $commit; needs x86-64 with AVX2 and glibc ${needed#GLIBC_} or newer"
size=$(stat -c %s "$output/$name.tar.xz")
if [ "$size" -gt $limit ]; then
  echo "bundle: the archive has $size bytes, the limit is $limit" >&2
  exit 1
fi
