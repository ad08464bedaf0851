#!/usr/bin/env python3
"""Judge a program with a window by the lines that it logged, one for each frame.

    ci/check_frames.py FILE.csv

Prints frame times with and without training, and how the loss fell. Exits with 1 where the loss did not fall to a
half, hardly any frames came while training, or one of them took seconds.
"""

import csv
import statistics
import sys


def describe(name: str, times: list[float]) -> None:
    if len(times) > 1:
        cuts = statistics.quantiles(times, n=20, method="inclusive")
        print(f"  {name}: {len(times)} frames, median {cuts[9]:.1f} ms, 95% below {cuts[18]:.1f} ms, "
              f"longest {max(times):.1f} ms")


def problems(rows: list[dict], training: list[dict]) -> list[str]:
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    if not losses:
        return ["no training step was finished"]
    first, last = statistics.mean(losses[:5]), statistics.mean(losses[-20:])
    steps = int(rows[-1]["steps"])
    print(f"  {steps} steps, loss {first:.4f} and in the end {last:.4f}")
    found = []
    if not last < 0.5 * first:
        found.append("the loss did not fall to a half")
    if len(training) < 20:
        found.append(f"only {len(training)} frames while training")
    longest = max(float(row["frame_ms"]) for row in rows)
    if longest > 5000:
        found.append(f"a frame of {longest:.0f} ms")
    return found


def main() -> int:
    with open(sys.argv[1], newline="") as file:
        rows = list(csv.DictReader(file))
    # A program without this column trains in every frame.
    training = [row for row in rows if row.get("training", "1") == "1"]
    idle = [row for row in rows if row.get("training", "1") != "1"]
    print(f"{sys.argv[1]}:")
    describe("training", [float(row["frame_ms"]) for row in training])
    describe("not training", [float(row["frame_ms"]) for row in idle])
    found = problems(rows, training)
    for problem in found:
        print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
