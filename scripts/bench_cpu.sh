#!/usr/bin/env bash
# Measures the cpu device side by side with a current PyTorch and with bare oneDNN: convolutions
# pass by pass, training steps, the cost of a recorded op. Prints ratios, writes
# build/bench_cpu.json, and fails when a bound is missed.
#   ./scripts/bench_cpu.sh [--threads N] [--seconds S] [--rounds N] [--markdown FILE]
# PyTorch goes into an environment of its own, build/bench-venv (several GB, because the wheel brings
# CUDA along); CONVOY_BENCH_PYTHON=/path/to/python uses another. Wants a machine that is idle.
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh python3 python3-venv
./scripts/configure.sh release
cmake --build build/release --target bench_cpu >build/bench_cpu.log 2>&1 ||
  { tail -n 30 build/bench_cpu.log >&2; exit 1; }

python=${CONVOY_BENCH_PYTHON:-build/bench-venv/bin/python}
if [ ! -x "$python" ]; then
  echo "bench_cpu: installing PyTorch into build/bench-venv"
  python3 -m venv build/bench-venv
  build/bench-venv/bin/pip install --quiet torch torchvision numpy
fi
exec "$python" scripts/bench_cpu.py --program build/release/bin/bench_cpu "$@"
