# SPDX-License-Identifier: MIT
"""PyTorch's matrix products and convolutions at the shapes of kbench."""

import torch
from torch.nn import functional as F

from measure import seconds_of

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}


def resnet50_layers(batch):
    """Name, channels, size, filters, taps, stride, how often; each geometry once."""
    layers = [["conv1", 3, 224, 64, 7, 2, 1]]

    def add(name, *geometry):
        for layer in layers:
            if tuple(layer[1:6]) == geometry:
                layer[6] += 1
                return
        layers.append([name, *geometry, 1])

    channels, size = 64, 56
    for stage, blocks in enumerate((3, 4, 6, 3)):
        planes = 64 << stage
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            at = f"layer{stage + 1}.{block}."
            add(at + "conv1", channels, size, planes, 1, 1)
            add(at + "conv2", planes, size, planes, 3, stride)
            add(at + "conv3", planes, size // stride, 4 * planes, 1, 1)
            if block == 0:
                add(at + "downsample", channels, size, 4 * planes, 1, stride)
            channels, size = 4 * planes, size // stride
    return batch, layers


def cifar_layers(batch):
    return batch, [["whiten", 3, 32, 24, 2, 1, 1], ["group1.conv1", 24, 31, 64, 3, 1, 1],
                   ["group1.conv2", 64, 15, 64, 3, 1, 1], ["group2.conv1", 64, 15, 256, 3, 1, 1],
                   ["group2.conv2", 256, 7, 256, 3, 1, 2], ["group3.conv2", 256, 3, 256, 3, 1, 1]]


def row(op, pass_name, name, dtype, sizes, flops, times):
    return {"op": op, "pass": pass_name, "name": name, "variant": "torch", "dtype": dtype, "sizes": sizes,
            "verdict": "unchecked", "gflops": flops / times["seconds"] / 1e9, **times}


def gemm(results, quick):
    dtypes = ["f32"] if results.device.type == "cpu" else ["f16", "bf16", "f32"]
    for dtype in dtypes:
        shapes = [64] if quick else [512, 1024, 2048, 4096, 8192] if dtype == "f16" else [4096]
        # f32 is f32 here: the tensor cores' tf32 stays off, PyTorch's default.
        for n in shapes:
            for layout, pass_name in (("nt", "forward"), ("nn", "backward_input"), ("tn", "backward_weight")):
                if results.out_of_time():
                    return
                a, b = (torch.rand(n, n, device=results.device, dtype=torch.float32).mul_(2).sub_(1)
                        .to(DTYPES[dtype]) for _ in range(2))
                a, b = a.t() if layout[0] == "t" else a, b.t() if layout[1] == "t" else b
                out = torch.empty(n, n, device=results.device, dtype=DTYPES[dtype])
                times = seconds_of(results.device, lambda: torch.mm(a, b, out=out))
                results.add(**row("gemm", pass_name, f"{n} {layout}", dtype, {"m": n, "n": n, "k": n},
                                  2 * n**3, times))


def conv2d(results, quick):
    dtype = "f32" if results.device.type == "cpu" else "f16"
    torch.backends.cudnn.benchmark = True  # the fastest of its plans, which need not be deterministic
    tables = [cifar_layers(2 if quick else 1024)] + ([] if quick else [resnet50_layers(256)])
    for batch, layers in tables:
        for name, channels, size, filters, taps, stride, count in layers:
            for pass_name in ("forward", "backward_input", "backward_weight"):
                if results.out_of_time():
                    return
                if pass_name == "backward_input" and channels == 3:
                    continue
                one_layer(results, dtype, batch, name, channels, size, filters, taps, stride, count, pass_name)


def one_layer(results, dtype, batch, name, channels, size, filters, taps, stride, count, pass_name):
    def tensor(*shape):
        values = torch.rand(*shape, device=results.device).mul_(2).sub_(1).to(DTYPES[dtype])
        return values.contiguous(memory_format=torch.channels_last)

    padding = taps // 2 if taps != 2 else 0
    x, weight = tensor(batch, channels, size, size), tensor(filters, channels, taps, taps)
    out = (size + 2 * padding - taps) // stride + 1
    dy = tensor(batch, filters, out, out)

    def gradient(mask):
        return torch.ops.aten.convolution_backward(dy, x, weight, None, [stride] * 2, [padding] * 2, [1, 1], False,
                                                   [0, 0], 1, mask)

    work = {"forward": lambda: F.conv2d(x, weight, None, stride, padding),
            "backward_input": lambda: gradient([True, False, False]),
            "backward_weight": lambda: gradient([False, True, False])}[pass_name]
    sizes = {"n": batch, "c": channels, "h": size, "w": size, "k": filters, "r": taps, "s": taps,
             "stride": stride, "pad": padding, "times": count}
    flops = 2 * batch * out * out * filters * channels * taps * taps
    results.add(**row("conv2d", pass_name, name, dtype, sizes, flops, seconds_of(results.device, work)))
