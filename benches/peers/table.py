#!/usr/bin/env python3
"""The table of ci/bench-peers: reads NAME.jsonl of each peer in the folder given, prints Markdown."""

import datetime
import json
import pathlib
import platform
import re
import statistics
import subprocess
import sys

PEERS = ["wgrad", "pytorch", "burn"]
ROWS = {
    "first_step": ("process start to the end of the first CNN step, no shader cache", None),
    "cnn_step": ("CNN of `cifar10`, SGD with momentum, batch 64, one step", None),
    "resnet9_step": ("`resnet9` of width 16, batch 128, one step", None),
    "mlp_step": ("MLP 784-256-128-10, Adam, batch 64, one step", None),
    "matmul_512": ("matmul 512³, f32", 2 * 512**3),
    "matmul_1024": ("matmul 1024³, f32", 2 * 1024**3),
}


def read(path: pathlib.Path) -> list[dict]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]


def cell(ms: float | None, flop: int | None) -> str:
    if ms is None:
        return "–"
    text = f"{ms:.1f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"
    return f"{text} ({flop / ms / 1e6:.0f} GFLOP/s)" if flop else text


def times(a: float | None, b: float | None) -> str:
    return f"{a / b:.2f}" if a and b else "–"


def burn_version(folder: pathlib.Path) -> str:
    lock = folder / "burn" / "Cargo.lock"
    found = re.search(r'name = "burn"\nversion = "([^"]+)"', lock.read_text()) if lock.is_file() else None
    return found[1] if found else "?"


def cpu() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.is_file() else None
    return found[1] if found else platform.processor()


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    lines = {peer: read(folder / f"{peer}.jsonl") for peer in PEERS}

    def ms(peer: str, bench: str) -> float | None:
        found = [line["median_ms"] for line in lines[peer] if line["bench"] == bench]
        return statistics.mean(found) if found else None

    print("| what | wgrad | PyTorch, CPU | burn, wgpu | wgrad / PyTorch | burn / wgrad |")
    print("|---|---|---|---|---|---|")
    for bench, (name, flop) in ROWS.items():
        wgrad, pytorch, burn = (ms(peer, bench) for peer in PEERS)
        cells = [name, *(cell(time, flop) for time in (wgrad, pytorch, burn)), times(wgrad, pytorch), times(burn, wgrad)]
        print(f"| {' | '.join(cells)} |")

    def first(peer: str, key: str) -> str:
        return next((str(line[key]) for line in lines[peer] if key in line), "?")

    rust = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=False).stdout.split()[1:2]
    print(
        f"\n{datetime.date.today()}, {cpu()}, adapter {first('wgrad', 'adapter')}; Rust {''.join(rust)}, "
        f"PyTorch {first('pytorch', 'torch')} on {first('pytorch', 'threads')} threads, burn {burn_version(folder)}. "
        "Medians; wgrad and PyTorch are means of two sittings, before and after burn's."
    )


if __name__ == "__main__":
    main()
