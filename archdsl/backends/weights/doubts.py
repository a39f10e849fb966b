"""Warn about weights files that are probably not what they seem to be: a file with another hash, untrained weights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from archdsl.backends.weights.tensors import Weights
from archdsl.diagnostics import Diagnostic

_HASHED = re.compile(r".*-([0-9a-f]{8})\.(pth|pt|safetensors|ckpt|bin)", re.DOTALL)
"""PyTorch's convention for published files: `resnet18-f37072fd.pth` ends in the start of its SHA-256."""
_STATISTICS = {"running_mean": 0.0, "running_var": 1.0}
"""The values of batch norms before the first step of a training."""


def doubts(file: Path, weights: Weights, stated: str = "") -> Iterator[Diagnostic]:
    """Yield W0624 if the name of a file states another SHA-256, W0625 if no batch norm has seen an image.

    `stated` is what the file says of its weights: random ones of archdsl are expected to be untrained.
    """
    name = file.name[:120]
    match = _HASHED.fullmatch(file.name)
    if match and file.is_file() and not (found := weights.source.removeprefix("sha256:")).startswith(match[1]):
        message = f"`{name}` is not the file that was published under this name: its SHA-256 begins with {found[:8]}"
        yield Diagnostic("W0624", message, severity="warning", help="download it again, or rename a file of your own")
    if not stated.startswith("random") and untrained(weights):
        message = f"`{name}` is probably not trained: all batch norms have their initial statistics, mean 0, variance 1"
        yield Diagnostic("W0625", message, severity="warning", help="check where the file comes from")


def untrained(weights: Weights) -> bool:
    """Return whether there are batch norms, and the statistics of all have their initial values."""
    entries = weights.entries.items()
    norms = [(entry, _STATISTICS[end]) for key, entry in entries if (end := key.rpartition(".")[2]) in _STATISTICS]
    return bool(norms) and all(entry.nbytes and bool((entry.make() == value).all()) for entry, value in norms)
