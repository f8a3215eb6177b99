#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""PyTorch's figures for what kbench and convoy measure, on the same machine.

    python3 scripts/baselines/baselines.py gemm conv2d train_step cifar --json baselines.json
    python3 scripts/baselines/baselines.py all --device cpu --quick        a rehearsal, in a minute

Only PyTorch is needed. What fails is a row that says so; the others still run.
"""

import argparse
import sys

try:
    import torch
except ImportError:
    sys.exit("baselines: this Python has no PyTorch: " + sys.executable)

import cifar
import kernels
import measure
import train_step

PARTS = ["gemm", "conv2d", "train_step", "cifar"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", choices=PARTS + ["all"], help="what to measure")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", help="file for the results")
    parser.add_argument("--cifar10", help="folder with data_batch_*.bin and test_batch.bin")
    parser.add_argument("--max-seconds", type=float, default=0, help="nothing begins after so many; 0: all does")
    parser.add_argument("--quick", action="store_true", help="tiny shapes, to see that all works")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: PyTorch finds no CUDA device")
    torch.manual_seed(1)
    results = measure.Results(torch.device(arguments.device), arguments.json, arguments.max_seconds)
    work = {"gemm": lambda: kernels.gemm(results, arguments.quick),
            "conv2d": lambda: kernels.conv2d(results, arguments.quick),
            "train_step": lambda: train_step.train_step(results, arguments.quick),
            "cifar": lambda: cifar.cifar(results, arguments.quick, arguments.cifar10)}
    failed = False
    for part in PARTS if "all" in arguments.parts else arguments.parts:
        try:
            work[part]()
        except Exception as error:  # the other parts still count
            failed = True
            results.add(op=part, **{"pass": ""}, name="", variant="torch", verdict="failed",
                        text=f"{type(error).__name__}: {error}".splitlines()[0])
    results.write()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
