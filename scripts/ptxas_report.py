"""Lists what ptxas says of each CUDA kernel. Run by ptxas_report.sh.

ptxas_report.py BUILD [name]: reads BUILD/kernels/**/*.o.ptxas and *.o.sm_*.ptx beside them, as
scripts/cmake/strict_ptxas.sh leaves them, and BUILD/.ninja_log for the time that they took.
"""

import collections
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys

MAY_NOT_SPILL = ("gemm", "conv2d", "batch_norm", "optimizer")

# Of one multiprocessor: registers, threads, blocks, bytes of shared memory, bytes that a block costs beside
# its own. CUDA C++ Programming Guide, "Technical Specifications per Compute Capability".
LIMITS = {
    "sm_80": (65536, 2048, 32, 164 * 1024, 1024),
    "sm_90a": (65536, 2048, 32, 228 * 1024, 1024),
}

# What to count in the PTX: column, pattern.
INSTRUCTIONS = (
    ("mma", r"\bmma\.sync"),
    ("wgmma", r"\bwgmma\.mma_async"),
    ("ldmatrix", r"\bldmatrix\."),
    ("cp.async", r"\bcp\.async\.c[ag]\."),
    ("tma", r"\bcp\.async\.bulk"),
)
SASS = (("HMMA", r"\bHMMA"), ("HGMMA", r"\bHGMMA"))


@dataclasses.dataclass
class Kernel:
    file: str
    architecture: str
    symbol: str
    registers: int = 0
    spill_bytes: int = 0
    stack_bytes: int = 0
    static_shared: int = 0
    shared_bytes: int = 0
    threads: int = 1024
    counts: dict = dataclasses.field(default_factory=dict)

    def occupancy(self):
        """Percent of a multiprocessor's threads that can be there at once."""
        registers, threads, blocks, shared, per_block = LIMITS[self.architecture]
        warps = -(-self.threads // 32)
        per_warp = -(-self.registers * 32 // 256) * 256
        fit = min(blocks, threads // (warps * 32), registers // max(1, per_warp * warps))
        fit = min(fit, shared // (self.shared_bytes + self.static_shared + per_block))
        return 100 * fit * warps * 32 // threads


def read_ptxas(path):
    """The kernels of one compilation, by (architecture, symbol)."""
    kernels, now = {}, None
    for line in path.read_text().splitlines():
        if m := re.search(r"Compiling entry function '(\S+)' for '(\S+)'", line):
            now = Kernel(path.name.removesuffix(".o.ptxas"), m[2], m[1])
            kernels[m[2], m[1]] = now
        elif now is None:
            continue
        elif m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            now.stack_bytes, now.spill_bytes = int(m[1]), int(m[2]) + int(m[3])
        elif m := re.search(r"Used (\d+) registers", line):
            now.registers = int(m[1])
            if m := re.search(r"(\d+) bytes smem", line):
                now.static_shared = int(m[1])
    return kernels


def read_ptx(path, architecture, kernels):
    """Adds what only the PTX tells: threads of a block, shared bytes, instructions."""
    for part in re.split(r"(?=^\s*(?:\.\w+\s+)*\.entry )", path.read_text(), flags=re.M):
        m = re.search(r"\.entry (\S+?)\(", part)
        kernel = kernels.get((architecture, m[1])) if m else None
        if kernel is None:
            continue
        if m := re.search(r"\.maxntid (\d+)", part):
            kernel.threads = int(m[1])
        kernel.shared_bytes = max((int(n) for n in re.findall(r"// shared_bytes (\d+)", part)), default=0)
        for name, pattern in INSTRUCTIONS:
            kernel.counts[name] = len(re.findall(pattern, part))


def count_sass(object_file, kernels):
    """Tensor-core instructions of the machine code, where CUDA's disassembler is installed."""
    listing = subprocess.run(["cuobjdump", "-sass", object_file], capture_output=True, text=True).stdout
    architecture = symbol = None
    for line in listing.splitlines():
        if m := re.search(r"code for (sm_\w+)", line):
            architecture = m[1]
        elif m := re.search(r"Function : (\S+)", line):
            symbol = m[1]
        elif kernel := kernels.get((architecture, symbol)):
            for name, pattern in SASS:
                if re.search(pattern, line):
                    kernel.counts[name] = kernel.counts.get(name, 0) + 1


def short_names(kernels):
    """Demangled, without namespaces and parameters."""
    symbols = "\n".join(k.symbol for k in kernels)
    lines = subprocess.run(["c++filt"], input=symbols, capture_output=True, text=True, check=True).stdout
    names = []
    for line in lines.splitlines():
        line = re.sub(r"\(anonymous namespace\)::|_GLOBAL__N_\w+::|convoy::|on_cuda::|^void ", "", line)
        depth, end = 0, len(line)
        for i, c in enumerate(line):
            depth += (c == "<") - (c == ">")
            if c == "(" and depth == 0:
                end = i
                break
        names.append(line[:end])
    return names


def compile_seconds(build):
    """Of all CUDA objects together, one after the other: from ninja's own log, newest entries."""
    times = {}
    for line in (build / ".ninja_log").read_text().splitlines()[1:]:
        start, end, _, output, _ = line.split("\t")
        if output.endswith(".cu.o") and output.startswith("kernels/gpu/"):
            times[output] = (int(end) - int(start)) / 1000
    return sum(times.values())


def main():
    build = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    kernels = []
    for report in sorted(build.glob("kernels/**/*.o.ptxas")):
        found = read_ptxas(report)
        for ptx in report.parent.glob(report.name.removesuffix(".ptxas") + ".sm_*.ptx"):
            read_ptx(ptx, ptx.name.split(".")[-2], found)
        if shutil.which("cuobjdump"):
            count_sass(report.with_suffix(""), found)
        kernels += found.values()
    names = short_names(kernels)

    columns = [name for name, _ in INSTRUCTIONS]
    columns += [name for name, _ in SASS if shutil.which("cuobjdump")]
    print(f"{'arch':7}{'regs':>5}{'threads':>8}{'shared':>8}{'spill':>6}{'stack':>6}{'occ %':>6}  "
          + "".join(f"{c:>9}" for c in columns) + "  kernel")
    bad, shown = [], 0
    for kernel, name in sorted(zip(kernels, names), key=lambda k: (k[0].file, k[1], k[0].architecture)):
        label = f"{kernel.file.removesuffix('.cu')}: {name}"
        if kernel.spill_bytes and kernel.file.startswith(MAY_NOT_SPILL):
            bad.append(label)
        if wanted not in label:
            continue
        shown += 1
        print(f"{kernel.architecture:7}{kernel.registers:5}{kernel.threads:8}{kernel.shared_bytes:8}"
              f"{kernel.spill_bytes:6}{kernel.stack_bytes:6}{kernel.occupancy():6}  "
              + "".join(f"{kernel.counts.get(c, 0) or '':>9}" for c in columns) + f"  {label}")
    per_file = collections.Counter(k.file for k in kernels)
    print(f"{shown} of {len(kernels)} kernels in {len(per_file)} files; "
          f"compiled in {compile_seconds(build) / 60:.1f} minutes of one core")
    if not shutil.which("cuobjdump"):
        print("no cuobjdump: instructions are counted in the PTX alone")
    for label in bad:
        print(f"ptxas_report: spills: {label}", file=sys.stderr)
    return 1 if bad or not kernels else 0


if __name__ == "__main__":
    sys.exit(main())
