#!/usr/bin/env python3
"""Compare the step losses of two metrics files.

    python3 compare_losses.py A.jsonl B.jsonl [--tolerance 1e-3]

Prints the largest difference; exits 1 when it is over the tolerance (a loss that is not a number
always is) or when the files don't have the same steps.
"""

import argparse
import json
import sys


def step_losses(path: str) -> dict[int, float]:
    losses = {}
    with open(path) as file:
        for number, line in enumerate(file, start=1):
            record = json.loads(line)
            if "step" in record:
                if record["step"] in losses:
                    sys.exit(f"{path}:{number}: step {record['step']} stands twice")
                # JSON has no NaN: some writers put null.
                losses[record["step"]] = float("nan") if record["loss"] is None else record["loss"]
    if not losses:
        sys.exit(f"{path} has no step losses")
    return losses


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("a")
    parser.add_argument("b")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    a, b = step_losses(args.a), step_losses(args.b)
    for path, missing in ((args.a, b.keys() - a.keys()), (args.b, a.keys() - b.keys())):
        if missing:
            sys.exit(f"{path} lacks {len(missing)} steps of the other file, the first is {min(missing)}")
    differences = {step: abs(a[step] - b[step]) for step in sorted(a)}
    # NaN sorts as the largest: it compares false with everything.
    worst = max(differences, key=lambda step: (differences[step] != differences[step], differences[step]))
    print(f"{len(a)} steps, largest difference {differences[worst]:.3g} at step {worst}: {a[worst]:.6f}, {b[worst]:.6f}")
    if not all(difference <= args.tolerance for difference in differences.values()):
        sys.exit(f"over the tolerance of {args.tolerance:g}")


if __name__ == "__main__":
    main()
