#!/usr/bin/env bash
# From nothing to a trained ConvNet: installs what is missing, builds for this machine, draws a data
# set of JPEG digits, trains, evaluates on held-out images, classifies a few files. The second time
# it goes on where it was.
#   ./scripts/demo.sh [folder]        default: build/demo
set -euo pipefail
cd "$(dirname "$0")/.."

folder=${1:-build/demo}
say() { printf '\n== %s\n' "$*"; }

say "build"
./scripts/setup.sh
./scripts/configure.sh cpu
cmake --build build/cpu --target convoy_program
convoy=build/cpu/bin/convoy

say "data: drawn digits as JPEG files in $folder/digits"
[ -d "$folder/digits" ] || { mkdir -p "$folder" && "$convoy" synth "$folder/digits" --seed 1; }

say "train resnet20 on them"
"$convoy" train --dataset image_folder --data-dir "$folder/digits" --img-size 32 --model resnet20 \
  --batch-size 64 --epochs 6 --lr 0.1 --seed 1 --output "$folder/run" --resume auto

say "evaluate on the held-out images"
line=$("$convoy" eval --checkpoint "$folder/run" --data-dir "$folder/digits" --json)
echo "$line"

say "classify a few files"
"$convoy" predict --checkpoint "$folder/run" "$folder"/digits/val/{0,3,7}/00001.jpg

printf '\nheld-out accuracy: %s %%\n' "$(sed 's/.*"top1":\([0-9.]*\).*/\1/' <<<"$line")"
