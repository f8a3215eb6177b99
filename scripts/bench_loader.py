# SPDX-License-Identifier: MIT
"""Lets Convoy's loader and others take turns on the same JPEG files; bench_loader.sh calls it."""

import argparse
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench_loader"
SIZE, BATCH, CLASSES = 224, 32, 4
CROP = dict(scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3))

# Each bound: what is measured, the least ratio that is good.
BOUNDS = {"torchvision": 2.0, "libjpeg-turbo": 0.9, "copy": 0.5}


def make_files(images, count):
    """`count` JPEGs of 500 x 375, quality 90, in a folder per class; those of the last run are kept."""
    from PIL import Image, ImageFilter

    folder = WORK / "jpeg"
    stamp = WORK / "made_of.txt"
    made_of = f"{images} {count}"
    if stamp.exists() and stamp.read_text() == made_of:
        return folder
    shutil.rmtree(WORK, ignore_errors=True)
    sources = []
    if images:
        sources = sorted(p for p in pathlib.Path(images).rglob("*.jp*g"))
        if not sources:
            sys.exit(f"bench_loader: {images}: expected .jpg files, found none")
    made = 0
    for i in range(4 * count):
        if made == count:
            break
        if sources:
            try:
                picture = Image.open(sources[i % len(sources)]).convert("RGB")
            except OSError:
                continue
        else:
            noise = Image.effect_noise((125, 94), 90).convert("RGB")
            picture = noise.resize((500, 375)).filter(ImageFilter.GaussianBlur(1))
        target = folder / "train" / f"class{made % CLASSES}" / f"{made:05}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        # Each file its own, although pictures repeat.
        if (i // max(len(sources), 1)) % 2:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture.resize((500, 375)).save(target, quality=90)
        made += 1
    stamp.write_text(made_of)
    return folder


class Convoy:
    """`convoy bench loader`; the first epoch warms up."""

    def __init__(self, programs, threads):
        self.convoy, self.threads = programs / "convoy", threads

    def epochs(self, folder, *flags, epochs=4):
        command = [self.convoy, "bench", "loader", "--data-dir", folder, "--img-size", str(SIZE),
                   "--batch-size", str(BATCH), "-j", str(self.threads), "--epochs", str(epochs),
                   "--hflip", "0.5", "--json", *flags]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"bench_loader: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def images_per_second(self, folder, *flags, epochs=4):
        later = self.epochs(folder, *flags, epochs=epochs)[1:]
        return sum(e["images"] for e in later) / sum(e["seconds"] for e in later)

    def pack(self, folder, *flags):
        target = WORK / "raw"
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run([self.convoy, "pack", folder, "--split", "train", "--output",
                        target / "train.pack", *flags], check=True, capture_output=True)
        return target


class Torchvision:
    """ImageFolder through a DataLoader with process workers that stay from epoch to epoch."""

    def __init__(self, folder, threads):
        import torch
        from torchvision import datasets, transforms

        torch.set_num_threads(threads)
        steps = transforms.Compose([
            transforms.RandomResizedCrop(SIZE, scale=CROP["scale"], ratio=CROP["ratio"]),
            transforms.RandomHorizontalFlip(),
            transforms.PILToTensor(),
        ])
        data = datasets.ImageFolder(str(folder / "train"), steps)
        self.loader = torch.utils.data.DataLoader(
            data, batch_size=BATCH, shuffle=True, num_workers=threads, drop_last=True,
            persistent_workers=True)
        self.images_per_second()  # the workers start

    def images_per_second(self):
        start, images = time.monotonic(), 0
        for batch, _ in self.loader:
            images += len(batch)
        return images / (time.monotonic() - start)


class Dali:
    """Fused decoding and random crop on the CPU."""

    def __init__(self, folder, threads):
        from nvidia.dali import fn, pipeline_def, types

        @pipeline_def(batch_size=BATCH, num_threads=threads, device_id=None, prefetch_queue_depth=3)
        def pipeline():
            files, labels = fn.readers.file(file_root=str(folder / "train"), random_shuffle=True,
                                            name="reader")
            images = fn.decoders.image_random_crop(
                files, device="cpu", random_area=list(CROP["scale"]),
                random_aspect_ratio=list(CROP["ratio"]))
            images = fn.resize(images, size=[SIZE, SIZE], interp_type=types.INTERP_TRIANGULAR)
            return fn.flip(images, horizontal=fn.random.coin_flip()), labels

        self.pipe = pipeline()
        self.pipe.build()
        self.batches = self.pipe.reader_meta()["reader"]["epoch_size"] // BATCH
        self.images_per_second()

    def images_per_second(self):
        start = time.monotonic()
        for _ in range(self.batches):
            self.pipe.run()
        return self.batches * BATCH / (time.monotonic() - start)


class Ffcv:
    """Its own file format with the JPEGs as they are."""

    def __init__(self, folder, threads):
        from ffcv.fields import IntField, RGBImageField
        from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
        from ffcv.loader import Loader, OrderOption
        from ffcv.transforms import RandomHorizontalFlip, ToTensor
        from ffcv.writer import DatasetWriter
        from torchvision import datasets

        beton = WORK / "train.beton"
        writer = DatasetWriter(str(beton), {"image": RGBImageField(write_mode="jpg"),
                                            "label": IntField()}, num_workers=threads)
        writer.from_indexed_dataset(datasets.ImageFolder(str(folder / "train")))
        crop = RandomResizedCropRGBImageDecoder((SIZE, SIZE), scale=CROP["scale"],
                                                ratio=CROP["ratio"])
        self.loader = Loader(str(beton), batch_size=BATCH, num_workers=threads, drop_last=True,
                             order=OrderOption.RANDOM, os_cache=True,
                             pipelines={"image": [crop, RandomHorizontalFlip(), ToTensor()],
                                        "label": [IntDecoder(), ToTensor()]})
        self.images_per_second()

    def images_per_second(self):
        start, images = time.monotonic(), 0
        for batch, _ in self.loader:
            images += len(batch)
        return images / (time.monotonic() - start)


def others(folder, threads):
    """Those that are installed, by name; the rest with the reason."""
    found, missing = {"torchvision": Torchvision(folder, threads)}, {}
    for name, module, kind in [("DALI", "nvidia.dali", Dali), ("FFCV", "ffcv", Ffcv)]:
        if importlib.util.find_spec(module.split(".")[0]) is None:
            missing[name] = "not installed"
            continue
        try:
            found[name] = kind(folder, threads)
        except Exception as error:  # whatever it is, the others are measured
            missing[name] = f"{type(error).__name__}: {error}".splitlines()[0][:120]
    return found, missing


def copy_bytes_per_second(threads):
    """Of the best of ten copies of 256 MiB."""
    import torch

    torch.set_num_threads(threads)
    source = torch.ones(256 << 20, dtype=torch.uint8)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(10):
        start = time.monotonic()
        target.copy_(source)
        best = min(best, time.monotonic() - start)
    return source.numel() / best


def framed_against_whole(programs, folder, seconds):
    done = subprocess.run([programs / "bench_cpu"], input=f"decode {seconds} {folder}\n",
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--images", help="folder of photographs that the files are made of")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--count", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", type=pathlib.Path)
    args = parser.parse_args()

    folder = make_files(args.images, args.count)
    convoy = Convoy(args.programs.resolve(), args.threads)
    rivals, missing = others(folder, args.threads)
    crop = ("--scale", "0.08,1", "--ratio", "0.75,1.3333333")
    speeds = {name: [] for name in ["Convoy", *rivals]}
    for _ in range(args.rounds):  # in turn, so that all see the same machine
        speeds["Convoy"].append(convoy.images_per_second(folder, *crop))
        for name, rival in rivals.items():
            speeds[name].append(rival.images_per_second())
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    first_ms = statistics.median(
        convoy.epochs(folder, *crop, epochs=1)[0]["first_batch_ms"] for _ in range(args.rounds))

    raw = convoy.pack(folder, "--format", "raw", "--size", "256")
    image_bytes = SIZE * SIZE * 3
    windows, scaled, copies = [], [], []
    for _ in range(args.rounds):
        copies.append(copy_bytes_per_second(args.threads))
        windows.append(convoy.images_per_second(raw, "--train-crop-mode", "random", epochs=20))
        scaled.append(convoy.images_per_second(raw, *crop, epochs=6))
    framed = framed_against_whole(args.programs, folder, 4 * args.rounds)

    ratios = {
        "torchvision": medians["Convoy"] / medians["torchvision"],
        "libjpeg-turbo": framed["framed_per_s"] / framed["whole_per_s"],
        "copy": statistics.median(w * image_bytes / c for w, c in zip(windows, copies)),
    }
    report(args, medians, missing, first_ms, framed, ratios, {
        "copy_bytes_per_second": statistics.median(copies),
        "packed_random_window": statistics.median(windows),
        "packed_random_resized_crop": statistics.median(scaled),
    })


def report(args, medians, missing, first_ms, framed, ratios, packed):
    base = medians["Convoy"]
    lines = ["| loader, 500 x 375 JPEG to 224 | images/s | Convoy is faster by |", "|---|---|---|"]
    for name, speed in medians.items():
        lines.append(f"| {name} | {speed:.0f} | {base / speed:.2f} |")
    for name, why in missing.items():
        lines.append(f"| {name} | {why} | |")
    lines += [
        "",
        f"Decoding and cropping, one thread: {framed['framed_per_s']:.0f} images/s; libjpeg-turbo on "
        f"the whole image at the same scale {framed['whole_per_s']:.0f}: "
        f"ratio {ratios['libjpeg-turbo']:.2f}.",
        f"Packed raw 256-pixel images: random window {packed['packed_random_window']:.0f} images/s, "
        f"{ratios['copy']:.2f} of the copy bandwidth of "
        f"{packed['copy_bytes_per_second'] / 1e9:.1f} GB/s; random resized crop "
        f"{packed['packed_random_resized_crop']:.0f} images/s.",
        f"Epoch start to first batch of {BATCH}: {first_ms:.1f} ms.",
        f"{args.threads} threads, batches of {BATCH}, {platform.machine()}, medians of "
        f"{args.rounds} rounds in turn.",
    ]
    print("\n".join(lines))
    missed = [f"{name}: {ratios[name]:.2f}, expected {bound}"
              for name, bound in BOUNDS.items() if ratios[name] < bound]
    if first_ms >= 50:
        missed.append(f"first batch: {first_ms:.1f} ms, expected less than 50")
    output = ROOT / "build" / "bench_loader.json"
    output.write_text(json.dumps({
        "threads": args.threads, "images_per_second": medians, "missing": missing,
        "first_batch_ms": first_ms, "decode": framed, "packed": packed, "ratios": ratios,
        "missed": missed}, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text("\n".join(lines) + "\n")
    print(f"written to {output.relative_to(ROOT)}")
    if missed:
        sys.exit("bench_loader: missed: " + "; ".join(missed))
    print("bench_loader: all bounds are met")


if __name__ == "__main__":
    main()
