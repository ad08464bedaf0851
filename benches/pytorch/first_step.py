#!/usr/bin/env python3
"""PyTorch's time from the process's start to the end of the first CNN step, on random data: one JSON line."""

import json

import torch
from cifar10 import seconds_since_process_start
from models import Cnn
from torch.nn import functional as F

THREADS = 2


def main() -> None:
    torch.set_num_threads(THREADS)
    model = Cnn()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    F.cross_entropy(model(torch.rand(64, 3, 32, 32)), torch.randint(10, (64,))).backward()
    optimizer.step()
    ms = round(1e3 * seconds_since_process_start(), 1)
    print(json.dumps({"bench": "first_step", "torch": torch.__version__, "threads": THREADS, "median_ms": ms}))


if __name__ == "__main__":
    main()
