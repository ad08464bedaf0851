#!/usr/bin/env python3
"""PyTorch's side of the benchmarks on the CPU: one JSON line a measurement.

    python3 step.py [--threads 2]

The training steps of the example `cifar10`: the CNN (batch 64) and the residual net of width 16 with its recipe
(batch 128, images as they are); matmul of 512 and 1024 squared, and the
MLP 784-256-128-10 training step with Adam (batch 64), all in f32 on random data. Medians.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
from cifar10 import RECIPES
from models import Cnn, Resnet9
from torch import nn
from torch.nn import functional as F

BATCH = 64


def median_ms(run: Callable[[], object], warmup: int, repeats: int) -> float:
    times = []
    for _ in range(warmup + repeats):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times[warmup:])


def training_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *shape: int,
    batch: int = BATCH,
    label_smoothing: float = 0.0,
) -> Callable[[], float]:
    x, labels = torch.rand(batch, *shape), torch.randint(10, (batch,))

    def step() -> float:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), labels, label_smoothing=label_smoothing)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    threads = parser.parse_args().threads
    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def report(name: str, **figures: float) -> None:
        figures = {key: round(value, 3) for key, value in figures.items()}
        print(json.dumps({"bench": name, "torch": torch.__version__, "threads": threads} | figures), flush=True)

    cnn = Cnn()
    step = training_step(cnn, torch.optim.SGD(cnn.parameters(), lr=0.01, momentum=0.9), 3, 32, 32)
    report("cnn_step", batch=BATCH, median_ms=median_ms(step, 5, 40))

    resnet9, recipe, batch = Resnet9(16), RECIPES["resnet9"], 128
    sgd = torch.optim.SGD(
        resnet9.parameters(),
        lr=recipe.lr,
        momentum=recipe.momentum,
        nesterov=recipe.nesterov,
        weight_decay=recipe.weight_decay,
    )
    step = training_step(resnet9, sgd, 3, 32, 32, batch=batch, label_smoothing=recipe.label_smoothing)
    report("resnet9_step", batch=batch, median_ms=median_ms(step, 3, 20))

    for n in (512, 1024):
        a, b = torch.rand(n, n), torch.rand(n, n)
        ms = median_ms(lambda a=a, b=b: a @ b, 5, 40)
        report(f"matmul_{n}", median_ms=ms, gflop_per_s=2 * n**3 / ms / 1e6)

    mlp = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10))
    step = training_step(mlp, torch.optim.Adam(mlp.parameters(), lr=1e-3), 784)
    report("mlp_step", batch=BATCH, median_ms=median_ms(step, 20, 200))


if __name__ == "__main__":
    main()
