"""A model of the step of several ranks: fitted to what was measured on two, and drawn for more. Writes docs/plots/scaling.svg and
prints the tables of docs/scaling.md. Needs matplotlib.

    python benches/scaling.py
"""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

# Seconds of a step, medians: one rank on one core; two hosts of a core each, joined at memory's speed; the same at 1 Gbit.
MEASURED = {
    "CNN": {"bytes": 630_312, "one": 0.705, "fast": 0.795, "gigabit": None},
    "MLP": {"bytes": 7_434_280, "one": 0.440, "fast": 0.521, "gigabit": 0.634},
}
# A sum of 8 MiB over two hosts by itself, at memory's speed and at 1 Gbit, seconds.
SUM_BYTES, SUM_FAST, SUM_GIGABIT = 8 << 20, 0.0239, 0.126
LATENCY = 30e-6  # Of a message, assumed.
BUCKET = 1 << 20

# What a rank computes slower for another's sake, which has the other core: from the model whose gradients are small.
CONTENTION = MEASURED["CNN"]["fast"] / MEASURED["CNN"]["one"]
# Reading back, adding up and writing back, a byte.
HOST = SUM_FAST / SUM_BYTES
# How much longer a byte takes on the wire than its rate says.
WIRE = (SUM_GIGABIT - SUM_FAST) / (SUM_BYTES * 8 / 1e9)


def step(compute, size, ranks, rate, overlap):
    """Seconds of a step: `rate` in bits a second, `overlap` the share of the computation that hides the exchange."""
    if ranks == 1:
        return compute
    buckets = max(1, size // BUCKET)
    wire = WIRE * 2 * (ranks - 1) / ranks * size * 8 / rate
    messages = buckets * 2 * (ranks - 1) * LATENCY
    exchange = HOST * size + wire + messages
    # The last bucket is complete when the backward pass is over.
    return compute + max(exchange / buckets, exchange - overlap * compute)


print(f"contention {CONTENTION:.2f}, host {HOST * 1e9:.1f} ns a byte, wire {WIRE:.2f} times its rate's time")
for name, m in MEASURED.items():
    for link, rate in [("fast", 1e12), ("gigabit", 1e9)]:
        if m[link]:
            found = step(CONTENTION * m["one"], m["bytes"], 2, rate, 0.0)
            print(f"{name} {link}: measured {m[link]:.3f} s, the model without overlap {found:.3f} s")

# Compute of a step and bytes of gradients.
CASES = {
    "CNN, 0.6 MB, 0.7 s": (0.705, 630_312),
    "MLP, 7.4 MB, 0.44 s": (0.440, 7_434_280),
    "100 MB, 0.25 s": (0.25, 100_000_000),
}
RANKS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
figure, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
for axis, rate in zip(axes, [1e10, 1e11]):
    for (label, (compute, size)), colour in zip(CASES.items(), ["#0072b2", "#009e73", "#d55e00"]):
        for overlap, style in [(0.0, "-"), (0.5, "--")]:
            share = [compute / step(compute, size, n, rate, overlap) for n in RANKS]
            axis.plot(RANKS, share, style, color=colour, label=label if overlap == 0 else None)
            told = ", ".join(f"{n}: {s:.2f}" for n, s in zip(RANKS, share) if n in (8, 64, 512))
            print(f"{rate / 1e9:.0f} Gbit, {label}, overlap {overlap}: {told}")
    axis.set_xscale("log", base=2)
    axis.set_xticks([1, 8, 64, 512], ["1", "8", "64", "512"])
    axis.set_title(f"{rate / 1e9:.0f} Gbit", fontsize=10)
    axis.set_xlabel("ranks")
    axis.set_ylim(0, 1.05)
    axis.grid(alpha=0.3)
axes[0].set_ylabel("images a second and rank, of one rank's")
handles, labels = axes[0].get_legend_handles_labels()
title = "solid: nothing overlaps; dashed: half of a step hides the exchange"
figure.legend(handles, labels, fontsize=8, loc="lower center", ncol=3, title=title, title_fontsize=8)
figure.tight_layout(rect=(0, 0.14, 1, 1))
figure.savefig(Path(__file__).parent.parent / "docs/plots/scaling.svg", metadata={"Date": None})
