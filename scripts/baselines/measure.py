# SPDX-License-Identifier: MIT
"""Times by the device's own events, and rows of the form that kbench writes."""

import json
import os
import subprocess
import sys
import time

import torch

GRAPH_LAUNCHES = 200
REPEAT_SECONDS = 4e-3


class Results:
    """What was measured so far; the file is whole after every row."""

    def __init__(self, device, path, max_seconds):
        self.device, self.path = device, path
        self.begin, self.max_seconds = time.monotonic(), max_seconds
        self.rows = []

    def out_of_time(self):
        return self.max_seconds > 0 and time.monotonic() - self.begin > self.max_seconds

    def add(self, **row):
        self.rows.append(row)
        rate = f"{row['gflops']:10.1f} GFLOP/s" if row.get("gflops") else ""
        if row.get("images_per_second"):
            rate = f"{row['images_per_second']:10.1f} images/s"
        text = row.get("text", "")
        seconds = f"{row['seconds'] * 1e3:10.4f} ms" if "seconds" in row else f"{row['verdict']:>13}"
        print(f"{row['op']:<10} {row['pass']:<15} {row['name']:<24} {row['variant']:<16} "
              f"{seconds} {rate} {text}", flush=True)
        self.write()

    def write(self):
        if not self.path:
            return
        part = self.path + ".part"
        with open(part, "w", encoding="utf-8") as file:
            json.dump({"program": "baselines", "version": torch.__version__, "commit": commit(),
                       "device": device_name(self.device), "driver": driver(), "rows": self.rows},
                      file, indent=1)
        os.replace(part, self.path)


def commit():
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        with open(os.path.join(here, "..", "commit"), encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        pass
    found = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
                           capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def device_name(device):
    if device.type == "cuda":
        return f"cuda, {torch.cuda.get_device_name()}"
    return f"cpu, {torch.get_num_threads()} compute threads"


def driver():
    try:
        with open("/sys/module/nvidia/version", encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""


def once(device, work):
    """Seconds of one call of `work`."""
    if device.type != "cuda":
        begin = time.perf_counter()
        work()
        return time.perf_counter() - begin
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    first.record()
    work()
    last.record()
    last.synchronize()
    return first.elapsed_time(last) / 1e3


def capture(work):
    """`work` as a CUDA graph, or None where it cannot be captured."""
    try:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        graph.replay()
        torch.cuda.synchronize()
        return graph
    except RuntimeError as error:
        print(f"baselines: not captured: {str(error).splitlines()[0]}", file=sys.stderr)
        return None


def seconds_of(device, work, repeats=20, warmup=5, max_seconds=2.0):
    """Median and least seconds of one call; short ones are replayed many at a time, as kbench does."""
    begin = time.monotonic()
    one = once(device, work)
    for _ in range(warmup):
        if time.monotonic() - begin < max_seconds:
            one = min(one, once(device, work))
    launches = max(1, min(GRAPH_LAUNCHES, int(REPEAT_SECONDS / max(one, 1e-7))))

    def many():
        for _ in range(launches):
            work()

    graph = capture(many) if device.type == "cuda" else None
    times = []
    for i in range(repeats):
        if i >= 3 and time.monotonic() - begin > max_seconds:
            break
        times.append(once(device, graph.replay if graph else many) / launches)
    times.sort()
    return {"seconds": times[len(times) // 2], "least_seconds": times[0], "repeats": len(times),
            "launches_per_repeat": launches, "graph": graph is not None}
