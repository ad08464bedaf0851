#!/usr/bin/env python3
"""Check a state dict that wgrad saved against one that PyTorch wrote.

    python3 ci/check_safetensors.py FILE REFERENCE

Loads both through the safetensors package, as PyTorch tensors where torch can be imported and as NumPy arrays
otherwise, and prints name, shape and the sha256 of the values of each tensor of FILE. Exits with 1 where a name or
shape is not as in REFERENCE, a value is not f32, or the metadata is not PyTorch's.
"""

import hashlib
import sys

from safetensors import safe_open

try:
    import torch  # noqa: F401  (safe_open needs it for the framework "pt")

    FRAMEWORK = "pt"
except ImportError:
    FRAMEWORK = "np"


def load(path: str) -> tuple[dict, dict]:
    """Tensors by name, and the metadata."""
    with safe_open(path, framework=FRAMEWORK) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def raw_bytes(tensor) -> bytes:
    return tensor.numpy().tobytes() if FRAMEWORK == "pt" else tensor.tobytes()


def differences(found: dict, metadata: dict, wanted: dict) -> list[str]:
    problems = [f"missing: {name}" for name in sorted(wanted.keys() - found.keys())]
    problems += [f"unexpected: {name}" for name in sorted(found.keys() - wanted.keys())]
    for name in sorted(found.keys() & wanted.keys()):
        shape, reference = tuple(found[name].shape), tuple(wanted[name].shape)
        if shape != reference:
            problems.append(f"{name}: shape {shape}, the reference has {reference}")
    for name in sorted(found):
        if str(found[name].dtype) not in ("float32", "torch.float32"):
            problems.append(f"{name}: type {found[name].dtype}, expected float32")
    if metadata.get("format") != "pt":
        problems.append(f"metadata: format is {metadata.get('format')!r}, expected 'pt'")
    return problems


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    found, metadata = load(sys.argv[1])
    wanted, _ = load(sys.argv[2])
    for name in sorted(found):
        digest = hashlib.sha256(raw_bytes(found[name])).hexdigest()
        print(f"{name} {list(found[name].shape)} {digest}")
    problems = differences(found, metadata, wanted)
    for problem in problems:
        print(f"{sys.argv[1]}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
