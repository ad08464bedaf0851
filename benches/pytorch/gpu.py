#!/usr/bin/env python3
"""PyTorch's side of `ci/gpu`'s measurements on a GPU: a name a line on standard input, its figures as JSON lines.

    python3 gpu.py [--any-device] [--short]      answers `measure NAME` until standard input ends
    python3 gpu.py --first-step step cnn 64      makes one training step and prints `done`

Names are those of wgrad's side (crates/gpu-check/src/measure): `step resnet9 64 512`, `matmul f32 1024`, and so on. A figure
has the name, the precision, how it was measured, and the median of its times in milliseconds:

    precision  f32 (TF32 off by both of PyTorch's switches), tf32 (on by both), f16 (operands, or autocast for steps)
    how        synchronised (each run waited for), in a row (many runs, one wait), graph (a CUDA graph, many replays)

`--any-device` measures on the processor where there is no CUDA, for rehearsals.
"""

import argparse
import contextlib
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from models import Cnn, Resnet9, normalise

Run = Callable[[], object]


class Unknown(Exception):
    """A name that nothing is measured by."""


def set_tf32(on: bool) -> None:
    """Both switches: the one of matmul is off by default, the one of cuDNN's convolutions is on."""
    torch.backends.cuda.matmul.allow_tf32 = on
    torch.backends.cudnn.allow_tf32 = on


def random(device: str, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return (torch.rand(*shape, device=device) - 0.5).to(dtype)


def matmul(device: str, words: list[str], sizes: list[int]) -> Run:
    (n,) = sizes
    dtype = torch.float16 if words[1] == "f16" else torch.float32
    a, b = (random(device, n, n, dtype=dtype) for _ in range(2))
    return lambda: a @ b


def conv2d(device: str, words: list[str], sizes: list[int]) -> Run:
    batch, inputs, outputs, size = sizes
    dtype = torch.float16 if words[2] == "f16" else torch.float32
    x = random(device, batch, inputs, size, size, dtype=dtype)
    w = random(device, outputs, inputs, 3, 3, dtype=dtype)
    dy = random(device, batch, outputs, size, size, dtype=dtype)
    if words[1] == "forward":
        return lambda: F.conv2d(x, w, padding=1)
    wanted = [words[1] == "input", words[1] == "weight", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(dy, x, w, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted)


def backward_of(y: torch.Tensor, leaves: list[torch.Tensor], dy: torch.Tensor) -> Run:
    return lambda: torch.autograd.grad(y, leaves, dy, retain_graph=True)


def batch_norm(device: str, words: list[str], sizes: list[int]) -> Run:
    batch, channels, size, = sizes
    norm = nn.BatchNorm2d(channels, device=device)
    x = random(device, batch, channels, size, size)
    if words[1] == "forward":
        return lambda: F.relu(norm(x))
    x.requires_grad_()
    return backward_of(F.relu(norm(x)), [x, *norm.parameters()], random(device, batch, channels, size, size))


def softmax(device: str, words: list[str], sizes: list[int]) -> Run:
    x = random(device, *sizes)
    if words[1] == "forward":
        return lambda: x.softmax(1)
    x.requires_grad_()
    return backward_of(x.softmax(1), [x], random(device, *sizes))


def reduction(device: str, words: list[str], sizes: list[int]) -> Run:
    x = random(device, *sizes)
    axes = {"rows": (1,), "columns": (0,), "all": (0, 1)}[words[1]]
    return lambda: x.sum(axes)


def elementwise(device: str, words: list[str], sizes: list[int]) -> Run:
    x, y = random(device, *sizes), random(device, sizes[-1])
    return {"relu": lambda: F.relu(x), "gelu": lambda: F.gelu(x), "add": lambda: x + y, "add_row": lambda: x + y}[words[0]]


def optimizer(device: str, words: list[str], sizes: list[int]) -> Run:
    (side,) = sizes
    layers = nn.Sequential(*(nn.Linear(side, side, device=device) for _ in range(4)))
    layers(random(device, 4, side)).square().sum().backward()
    on_device = device == "cuda"
    if words[1] == "adam":
        # Capturable, so that a graph may hold it; a step is then fused into few launches.
        return torch.optim.Adam(layers.parameters(), lr=1e-3, capturable=on_device, fused=on_device).step
    return torch.optim.SGD(layers.parameters(), lr=0.01, momentum=0.9, fused=on_device).step


def launch(device: str, words: list[str], sizes: list[int]) -> Run:
    x, y = (torch.zeros(64, device=device) for _ in range(2))
    if words[1] == "independent":
        return lambda: torch.neg(x, out=y)
    turn = [x, y]

    def dependent() -> None:
        torch.neg(turn[0], out=turn[1])
        turn.reverse()

    return dependent


def copy(device: str, words: list[str], sizes: list[int]) -> Run:
    if words[1] != "copy":
        raise Unknown  # PyTorch has no launch of multiply-adds alone.
    x, y = (torch.zeros(sizes[0] // 4, device=device) for _ in range(2))
    return lambda: y.copy_(x)


def step(device: str, words: list[str], sizes: list[int], autocast: bool = False) -> Run:
    """One training step on a batch of bytes that lies on the device, as wgrad's side has it."""
    batch = sizes[-1]
    pixels = torch.randint(256, (batch, 784) if words[1] == "mlp" else (batch, 3, 32, 32), device=device)
    pixels, labels = pixels.to(torch.uint8), torch.randint(10, (batch,), device=device)
    on_device = device == "cuda"
    if words[1] == "mlp":
        model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)).to(device)
        adam = {"capturable": True, "fused": True} if on_device else {}
        train: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, **adam)
    else:
        model = (Cnn() if words[1] == "cnn" else Resnet9(sizes[0])).to(device)
        train = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=on_device)

    def run() -> None:
        train.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.float16) if autocast else contextlib.nullcontext():
            loss = F.cross_entropy(model(normalise(pixels)), labels)
        loss.backward()
        train.step()

    return run


MAKERS: dict[str, Callable[..., Run]] = {
    "matmul": matmul,
    "conv2d": conv2d,
    "batch_norm": batch_norm,
    "softmax": softmax,
    "sum": reduction,
    "relu": elementwise,
    "gelu": elementwise,
    "add": elementwise,
    "add_row": elementwise,
    "optimizer": optimizer,
    "launch": launch,
    "limit": copy,
    "step": step,
}


def made(device: str, name: str, **options: bool) -> Run:
    words = [word for word in name.split() if not word.isdigit()]
    sizes = [int(word) for word in name.split() if word.isdigit()]
    if not words or words[0] not in MAKERS:
        raise Unknown
    return MAKERS[words[0]](device, words, sizes, **options)


def precisions(device: str, name: str) -> list[str]:
    """The precisions that a name is measured in."""
    if "f16" in name.split():
        return ["f16"]
    if device != "cuda":
        return ["f32"]
    if name.startswith("step"):
        return ["f32", "tf32", "f16"]
    return ["f32", "tf32"] if name.startswith(("matmul", "conv2d")) else ["f32"]


class Clock:
    def __init__(self, device: str, budget: float, most: int) -> None:
        self.device, self.budget, self.most = device, budget, most

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def timed(self, run: Run, count: int) -> float:
        """Milliseconds of one of `count` runs with one wait."""
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            run()
        self.wait()
        return 1e3 * (time.perf_counter() - start) / count

    def samples(self, run: Run, count: int, most: int) -> list[float]:
        start, times = time.perf_counter(), []
        while len(times) < 3 or (time.perf_counter() - start < self.budget and len(times) < most):
            times.append(self.timed(run, count))
        return times

    def in_a_row(self, run: Run) -> tuple[int, list[float]]:
        once = self.timed(run, 1)
        count = max(1, min(self.most, int(self.budget / 4 / max(once / 1e3, 1e-6))))
        self.timed(run, count)
        return count, self.samples(run, count, 20)


def graph_of(run: Run) -> Run:
    """The run as a CUDA graph: warmed up on a stream of its own, as PyTorch asks for, then captured once."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def measure(device: str, name: str, short: bool, put: Callable[[dict], None]) -> None:
    budget = 0.001 if short else 0.4 if name.startswith("step") else 0.08
    clock = Clock(device, budget, 2 if short else 1000)
    for precision in precisions(device, name):
        set_tf32(precision == "tf32")
        autocast = {"autocast": True} if precision == "f16" and name.startswith("step") else {}
        run = made(device, name, **autocast)

        def figure(how: str, count: int, times: list[float], precision: str = precision) -> None:
            row = {"bench": name, "who": "pytorch", "precision": precision, "how": how, "in_a_row": count}
            put(row | {"ms": statistics.median(times), "least": min(times), "most": max(times), "samples": len(times)})

        clock.timed(run, 1)
        clock.timed(run, 3 if not short else 1)
        figure("synchronised", 1, clock.samples(run, 1, 100))
        figure("in a row", *clock.in_a_row(run))
        if device == "cuda":
            try:
                replay = graph_of(run)
            except RuntimeError as error:
                # A capture that failed leaves the rest as it was; its figure is missing, and the log says why.
                print(f"{name}: no graph: {error}", file=sys.stderr)
                continue
            figure("graph", *clock.in_a_row(replay))


def answer(value: dict) -> None:
    print(json.dumps(value), flush=True)


def serve(device: str, short: bool) -> None:
    what = torch.cuda.get_device_name() if device == "cuda" else "processor"
    answer({"done": True, "torch": torch.__version__, "cuda": torch.version.cuda, "device": what})
    for line in sys.stdin:
        request, _, name = line.strip().partition(" ")
        end: dict = {"done": True}
        try:
            if request != "measure":
                raise Unknown
            measure(device, name, short, answer)
        except Unknown:
            pass  # Nothing to compare with; wgrad's side says what it measured.
        except Exception as error:  # noqa: BLE001: whatever it is, the other names can be measured.
            end["error"] = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        finally:
            if device == "cuda":
                torch.cuda.empty_cache()
        answer(end)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--any-device", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--first-step", metavar="NAME")
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not args.any_device:
        sys.exit(f"PyTorch {torch.__version__} finds no CUDA here")
    torch.manual_seed(0)
    set_tf32(False)
    if args.first_step:
        made(device, args.first_step)()
        Clock(device, 0, 1).wait()
        print("done", flush=True)
    else:
        serve(device, args.short)


if __name__ == "__main__":
    main()
