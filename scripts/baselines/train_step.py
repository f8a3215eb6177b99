# SPDX-License-Identifier: MIT
"""A whole training step of resnet18 and resnet50 in PyTorch: SGD with momentum, half precision by autocast,
channels last; eager, compiled, and replayed as a CUDA graph."""

import torch
from torch import nn
from torch.nn import functional as F

from measure import capture, once


class Block(nn.Module):
    """Two convolutions, or with expansion 4 three, and a shortcut (He et al., arXiv:1512.03385)."""

    def __init__(self, channels, planes, expansion, stride):
        super().__init__()
        out = planes * expansion
        plan = [(channels, planes, 3, stride), (planes, out, 3, 1)]
        if expansion > 1:
            plan = [(channels, planes, 1, 1), (planes, planes, 3, stride), (planes, out, 1, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s, k // 2, bias=False) for i, o, k, s in plan)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in plan)
        self.shortcut = nn.Identity()
        if stride != 1 or channels != out:
            self.shortcut = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            y = norm(conv(y))
            if i + 1 < len(self.convs):
                y = F.relu(y, inplace=True)
        return F.relu(y + self.shortcut(x), inplace=True)


def resnet(depth, width=64):
    blocks, expansion = {18: ((2, 2, 2, 2), 1), 50: ((3, 4, 6, 3), 4)}[depth]
    layers = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True),
              nn.MaxPool2d(3, 2, 1)]
    channels = width
    for stage, count in enumerate(blocks):
        planes = width << stage
        for i in range(count):
            layers.append(Block(channels, planes, expansion, 2 if stage > 0 and i == 0 else 1))
            channels = planes * expansion
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class Step:
    def __init__(self, device, depth, batch, size, width, amp, compiled):
        self.model = resnet(depth, width).to(device, memory_format=torch.channels_last)
        # capturable: graphs of steps with a scaler on bfloat16 would not need it; SGD has no state on the host.
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
        self.x = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        self.target = torch.randint(1000, (batch,), device=device)
        self.device, self.amp = device, amp
        self.loss_of = torch.compile(self.plain_loss) if compiled else self.plain_loss

    def plain_loss(self):
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.amp):
            return F.cross_entropy(self.model(self.x).float(), self.target)

    def __call__(self):
        self.optimizer.zero_grad(set_to_none=False)
        self.loss_of().backward()
        self.optimizer.step()


def one(results, depth, batch, size, width, variant, steps):
    device = results.device
    row = {"op": "train_step", "pass": "step", "name": f"resnet{depth}", "variant": f"torch_{variant}",
           "dtype": "bf16" if device.type == "cuda" else "f32", "sizes": {"n": batch, "h": size, "w": size}}
    try:
        step = Step(device, depth, batch, size, width, device.type == "cuda", "compiled" in variant)
        for _ in range(3):
            step()
        work = step
        if variant == "graph":
            graph = capture(step)
            if graph is None:
                raise RuntimeError("the step could not be captured")
            work = graph.replay
        times = sorted(once(device, work) for _ in range(steps))
    except Exception as error:  # a compiler that is not there, memory: the others still count
        results.add(**row, verdict="failed", text=str(error).splitlines()[0] if str(error) else repr(error))
        return
    seconds = times[len(times) // 2]
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    results.add(**row, verdict="unchecked", seconds=seconds, least_seconds=times[0], repeats=len(times),
                images_per_second=batch / seconds, peak_bytes=memory)


def train_step(results, quick):
    variants = ["eager", "compiled"] + (["graph"] if results.device.type == "cuda" else [])
    if quick:
        variants.remove("compiled")  # it takes a C++ compiler and minutes
    for depth in (18,) if quick else (18, 50):
        for variant in variants:
            if results.out_of_time():
                return
            if results.device.type == "cuda":
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
            batch, size, width = (2, 32, 8) if quick else (256, 224, 64)
            one(results, depth, batch, size, width, variant, 3 if quick else 30)
