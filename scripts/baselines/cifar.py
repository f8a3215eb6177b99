# SPDX-License-Identifier: MIT
"""The recipe of the CIFAR-10 speed records (airbench94: Jordan, arXiv:2404.00498), written anew from its
description: 9.9 epochs of batches of 1024 in half precision. Says the accuracy, and the seconds from the whitening
to the end of the evaluation. Trains on whichever data_batch_*.bin are there."""

import glob
import math
import os

import torch
from torch import nn
from torch.nn import functional as F

from measure import once

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
RECORD = 1 + 3 * 32 * 32


def read(paths):
    data = torch.cat([torch.frombuffer(bytearray(open(p, "rb").read()), dtype=torch.uint8) for p in paths])
    records = data.view(-1, RECORD)
    return records[:, 1:].view(-1, 3, 32, 32), records[:, 0].long()


def drawn(count):
    """Where there is no data: ten colours under noise."""
    labels = torch.arange(count) % 10
    colours = torch.rand(10, 3, 1, 1, generator=torch.Generator().manual_seed(1)) * 200
    noise = torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(2)) * 55
    return (colours[labels] + noise).to(torch.uint8), labels


def normalised(images, device, dtype):
    mean, std = (torch.tensor(v, device=device, dtype=dtype).view(1, 3, 1, 1) for v in (MEAN, STD))
    x = (images.to(device).to(dtype) / 255 - mean) / std
    return x.contiguous(memory_format=torch.channels_last)


def random_crops(images, reach):
    """A window of 32 x 32 of each padded image, up to `reach` pixels off its middle."""
    n = len(images)
    shifts = torch.randint(0, 2 * reach + 1, (2, n, 1), device=images.device)
    steps = torch.arange(32, device=images.device)
    rows, columns = shifts[0] + steps, shifts[1] + steps
    index = torch.arange(n, device=images.device).view(n, 1, 1)
    cut = images.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


class Group(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(c, out, 3, padding=1, bias=False) for c in (channels, out))
        self.norm1, self.norm2 = (nn.BatchNorm2d(out, eps=1e-12, momentum=0.4) for _ in range(2))
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight[: conv.in_channels])
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad = False

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2, bias=True)
        self.whiten.weight.requires_grad = False
        nn.init.zeros_(self.whiten.bias)
        self.groups = nn.Sequential(Group(24, 64), Group(64, 256), Group(256, 256))
        self.head = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = self.groups(F.gelu(self.whiten(x)))
        return self.head(F.max_pool2d(x, 3).flatten(1)) / 9

    def learn_whitening(self, images):
        patches = images.float().unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors.T / (values[:, None] + 5e-4).sqrt()).flip(0).view(12, 3, 2, 2)
        self.whiten.weight.data.copy_(torch.cat([filters, -filters]))


def optimizer_of(model, momentum=0.85):
    per_step = 1024 * (1 + 1 / (1 - momentum))
    rate, decay = 11.5 / per_step, 0.0153 / (11.5 / per_step) * 1024 / per_step
    biases = [p for name, p in model.named_parameters() if "norm" in name and p.requires_grad]
    others = [p for name, p in model.named_parameters() if "norm" not in name and p.requires_grad]
    return torch.optim.SGD([{"params": biases, "lr": rate * 64, "weight_decay": decay / 64},
                            {"params": others, "lr": rate, "weight_decay": decay}],
                           lr=rate, momentum=momentum, nesterov=True)


def factor(step, steps):
    """Of the learning rate: from 0.2 up to 1, then down to 0.07."""
    rise = int(0.23 * steps)
    return 0.2 + 0.8 * step / rise if step < rise else 1 - 0.93 * (step - rise) / max(1, steps - rise)


def train(model, x, labels, epochs, batch):
    optimizer = optimizer_of(model)
    bases = [g["lr"] for g in optimizer.param_groups]
    per_epoch = len(x) // batch
    steps, step = math.ceil(per_epoch * epochs), 0
    average = {k: v.clone() for k, v in model.state_dict().items() if v.dtype.is_floating_point}
    flip = torch.rand(len(x), device=x.device) < 0.5
    x = torch.where(flip.view(-1, 1, 1, 1), x.flip(-1), x)
    padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
    model.train()
    for epoch in range(math.ceil(epochs)):
        images = random_crops(padded, 2)
        images = images.flip(-1) if epoch % 2 else images
        model.whiten.bias.requires_grad = epoch < 3
        for chunk in torch.randperm(len(x), device=x.device)[: per_epoch * batch].view(-1, batch):
            for group, base in zip(optimizer.param_groups, bases):
                group["lr"] = base * factor(step, steps)
            inputs = images[chunk].contiguous(memory_format=torch.channels_last)
            loss = F.cross_entropy(model(inputs), labels[chunk], label_smoothing=0.2, reduction="sum")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            step += 1
            if step % 5 == 0 or step == steps:
                keep = 0.95**5 * (step / steps) ** 3 if step < steps else 1.0
                for name, value in model.state_dict().items():
                    if name in average:
                        average[name].lerp_(value, 1 - keep)
                        value.copy_(average[name])
            if step == steps:
                return


@torch.no_grad()
def accuracy(model, x, labels):
    """With six views of each image: mirrored, and shifted by one pixel either way."""
    model.eval()

    def both(v):
        return (model(v) + model(v.flip(-1))) / 2

    right = 0
    for images, target in zip(x.split(2000), labels.split(2000)):
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        shifted = (both(padded[:, :, :32, :32]) + both(padded[:, :, 2:, 2:])) / 2
        right += ((both(images) + shifted) / 2).argmax(1).eq(target).sum().item()
    return right / len(x)


def cifar(results, quick, folder):
    device = results.device
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    torch.backends.cudnn.benchmark = True
    batches = sorted(glob.glob(os.path.join(folder or "", "data_batch_*.bin")))
    if batches and not quick:
        (train_images, train_labels), (images, labels) = read(batches), read([os.path.join(folder, "test_batch.bin")])
    else:
        (train_images, train_labels), (images, labels) = drawn(256), drawn(64)
    epochs, batch = (1, 64) if quick else (9.9, 1024)
    for attempt in range(1 if quick else 4):  # the first warms up: libraries are loaded, plans are found
        if results.out_of_time():
            return
        torch.manual_seed(attempt)
        model = Network().to(device, memory_format=torch.channels_last).to(dtype)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.float()
        x, target = normalised(train_images, device, dtype), train_labels.to(device)
        test, test_target = normalised(images, device, dtype), labels.to(device)
        found = []

        def work():
            model.learn_whitening(x[:5000])
            train(model, x, target, epochs, batch)
            found.append(accuracy(model, test, test_target))

        seconds = once(device, work)
        results.add(op="cifar", **{"pass": "run"}, name=f"airbench94, {len(x)} images", variant="torch_eager",
                    dtype="f16" if dtype == torch.float16 else "f32", sizes={"n": batch}, verdict="unchecked",
                    seconds=seconds, attempt=attempt, top1=100 * found[0], text=f"top1 {100 * found[0]:.2f} %",
                    images_per_second=len(x) * epochs / seconds)
