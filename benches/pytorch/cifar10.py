#!/usr/bin/env python3
"""The PyTorch twin of the example `cifar10`: same models, data, recipes, flags and metrics file.

    python3 cifar10.py --data DIR [--max-steps 30 --no-shuffle --init start.safetensors --metrics pytorch.jsonl]
    python3 cifar10.py --data DIR --model resnet9 [--width 16]

Needs torch, numpy and safetensors. DIR (or the variable CIFAR10_DIR) holds the .bin files of
CIFAR-10's binary version, or a folder cifar-10-batches-bin with them. An epoch that --max-steps
cuts short is not evaluated and gets no line in the metrics.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from models import Cnn, Resnet9, normalise

RECORD = 1 + 3 * 32 * 32


@dataclasses.dataclass
class Recipe:
    """How a model is trained, where no flag says otherwise."""

    epochs: int = 10
    batch_size: int = 64
    lr: float = 0.01
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    schedule: str = "constant"
    augment: bool = False


RECIPES = {
    "cnn": Recipe(),
    "resnet9": Recipe(
        batch_size=256,
        lr=0.3,
        nesterov=True,
        weight_decay=5e-4,
        label_smoothing=0.1,
        schedule="one-cycle",
        augment=True,
    ),
}


def crop_and_flip(pixels: torch.Tensor, padding: int = 4) -> torch.Tensor:
    """Each image shifted by up to `padding` pixels, its edges reflected, and every other one mirrored."""
    n, channels, height, width = pixels.shape
    padded = F.pad(pixels.float(), (padding,) * 4, mode="reflect")
    rows = torch.randint(2 * padding + 1, (n, 1)) + torch.arange(height)
    cols = torch.randint(2 * padding + 1, (n, 1)) + torch.arange(width)
    cols = torch.where(torch.rand(n, 1) < 0.5, cols.flip(1), cols)
    image, channel = torch.arange(n).view(-1, 1, 1, 1), torch.arange(channels).view(1, -1, 1, 1)
    return padded[image, channel, rows.view(n, 1, -1, 1), cols.view(n, 1, 1, -1)]


def read_cifar10(folder: pathlib.Path, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images as U8 [n, 3, 32, 32] and labels as I64 [n], in the files' order."""
    if (folder / "cifar-10-batches-bin").is_dir():
        folder = folder / "cifar-10-batches-bin"
    records = []
    for name in names:
        if not (folder / name).is_file():
            sys.exit(f"{folder / name} is missing")
        data = np.fromfile(folder / name, np.uint8)
        if data.size == 0 or data.size % RECORD:
            sys.exit(f"{folder / name} has {data.size} bytes, not whole records of {RECORD}")
        records.append(data.reshape(-1, RECORD))
    records = torch.from_numpy(np.concatenate(records))
    if records[:, 0].max() > 9:
        sys.exit(f"{folder} has a label over 9")
    return records[:, 1:].reshape(-1, 3, 32, 32).contiguous(), records[:, 0].long()


@torch.no_grad()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    model.eval()
    right = 0
    for x, label in zip(images.split(256), labels.split(256)):
        right += (model(normalise(x)).argmax(1) == label).sum().item()
    model.train()
    return right / len(labels)


def seconds_since_process_start() -> float:
    """Includes the interpreter's start and the imports. Linux only, to 10 ms."""
    start_ticks = int(pathlib.Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - start_ticks / os.sysconf("SC_CLK_TCK")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    data = os.environ.get("CIFAR10_DIR")
    parser.add_argument("--data", type=pathlib.Path, default=data, required=data is None)
    parser.add_argument("--model", choices=RECIPES, default="cnn")
    parser.add_argument("--width", type=int, default=16, help="channels of resnet9's first convolution")
    flag = {"true": True, "false": False}
    for field in dataclasses.fields(Recipe):
        name = "--" + field.name.replace("_", "-")
        if field.type is bool:
            parser.add_argument(name, choices=flag, default=None)
        else:
            parser.add_argument(name, type=field.type, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-steps", type=int)
    parser.add_argument("--no-shuffle", action="store_true")
    parser.add_argument("--init", metavar="FILE.safetensors")
    parser.add_argument("--save", metavar="FILE.safetensors")
    parser.add_argument("--metrics", metavar="FILE.jsonl")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    for name, default in dataclasses.asdict(RECIPES[args.model]).items():
        given = getattr(args, name)
        setattr(args, name, default if given is None else flag.get(given, given))
    return args


def schedule_of(args: argparse.Namespace, optimizer: torch.optim.Optimizer, images: int):
    if args.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    steps = args.epochs * -(-images // args.batch_size)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, total_steps=steps, pct_start=0.25, anneal_strategy="linear", cycle_momentum=False
    )


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    images, labels = read_cifar10(args.data, [f"data_batch_{i}.bin" for i in range(1, 6)])
    test = read_cifar10(args.data, ["test_batch.bin"])
    model = Cnn() if args.model == "cnn" else Resnet9(args.width)
    if args.init:
        model.load_state_dict(load_file(args.init))
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=args.lr,
        momentum=args.momentum,
        nesterov=args.nesterov,
        weight_decay=args.weight_decay,
    )
    schedule = schedule_of(args, optimizer, len(images))
    metrics = open(args.metrics or os.devnull, "w")
    step_ms = []
    for epoch in range(1, args.epochs + 1):
        epoch_start, loss_sum = time.perf_counter(), 0.0
        order = torch.arange(len(images)) if args.no_shuffle else torch.randperm(len(images))
        # As with DataLoader's defaults, the last batch may be smaller.
        for batch in order.split(args.batch_size):
            if len(step_ms) == args.max_steps:
                break
            step_start = time.perf_counter()
            optimizer.zero_grad()
            pixels = crop_and_flip(images[batch]) if args.augment else images[batch]
            logits = model(normalise(pixels))
            loss = F.cross_entropy(logits, labels[batch], label_smoothing=args.label_smoothing)
            loss.backward()
            optimizer.step()
            schedule.step()
            loss = loss.item()
            step_ms.append(1e3 * (time.perf_counter() - step_start))
            if len(step_ms) == 1:
                print(f"process start to the end of the first step: {seconds_since_process_start():.2f} s")
            loss_sum += loss * len(batch)
            print(json.dumps({"step": len(step_ms), "loss": loss}), file=metrics)
        else:  # The epoch was not cut short.
            seconds = time.perf_counter() - epoch_start
            line = {"epoch": epoch, "train_loss": loss_sum / len(images), "test_accuracy": accuracy(model, *test), "seconds": seconds}
            print(json.dumps(line), file=metrics)
            print("epoch {epoch}: train loss {train_loss:.4f}, test accuracy {test_accuracy:.4f}, {seconds:.1f} s".format(**line), flush=True)
    metrics.close()
    if args.save:
        save_file(model.state_dict(), args.save)
    if len(step_ms) > 1:
        print(f"median step: {statistics.median(step_ms[1:]):.1f} ms (without the first of {len(step_ms)})")


if __name__ == "__main__":
    main()
