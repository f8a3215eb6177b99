#!/usr/bin/env bash
# Compiles the CUDA kernels and lists each one's registers, shared memory, spills, occupancy and
# tensor-core instructions, as ptxas and the PTX tell.
#   ./scripts/ptxas_report.sh [name]       only kernels whose name contains it
# Exit 1: a kernel of gemm, conv2d, batch_norm or optimizer spills. A wgmma that is serialised or a
# setmaxnreg that is ignored fails the compilation before (scripts/cmake/strict_ptxas.sh).
set -euo pipefail
cd "$(dirname "$0")/.."

./scripts/setup.sh python3 binutils
./scripts/configure.sh release
if ! cmake --build build/release --target help | grep -q 'convoy_cuda_kernels'; then
  echo "ptxas_report: nvcc was not found, so there is nothing to report" >&2
  exit 2
fi
cmake --build build/release --target convoy_cuda_kernels
exec python3 scripts/ptxas_report.py build/release "$@"
