#!/usr/bin/env bash
# Measures the loader side by side with torchvision's on the same files and threads and, where they
# are installed, with FFCV and NVIDIA DALI on the CPU. Prints ratios, writes build/bench_loader.json,
# and fails when a bound is missed.
#   ./scripts/bench_loader.sh [--images FOLDER] [--threads N] [--count N] [--rounds N] [--markdown FILE]
# The files are 500 x 375 JPEGs, made of the pictures in FOLDER or, without one, of synthetic ones.
# PyTorch goes into an environment of its own, build/bench-venv (several GB, because the wheel brings
# CUDA along); CONVOY_BENCH_PYTHON=/path/to/python uses another. Wants a machine that is idle.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh python3 python3-venv
./scripts/configure.sh cpu
cmake --build build/cpu --target convoy_program bench_cpu >build/bench_loader.log 2>&1 ||
  { tail -n 30 build/bench_loader.log >&2; exit 1; }

python=${CONVOY_BENCH_PYTHON:-build/bench-venv/bin/python}
if [ ! -x "$python" ]; then
  echo "bench_loader: installing PyTorch into build/bench-venv"
  python3 -m venv build/bench-venv
  build/bench-venv/bin/pip install --quiet torch torchvision numpy pillow
fi
exec "$python" scripts/bench_loader.py --programs build/cpu/bin "$@"
