"""`archdsl.weights.inspect`: what a weights file contains, and which network of the library it is of."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import asdict, dataclass
from math import log, prod
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.backends.weights import load
from archdsl.backends.weights.layout import COUNTER, Reading, fullest_place, locate, prefixes, second_sets
from archdsl.backends.weights.read import Checkpoint
from archdsl.backends.weights.tensors import TensorEntry
from archdsl.diagnostics import ArchError, Diagnostic
from archdsl.diagnostics.arguments import check_callables, check_flags, check_type
from archdsl.packages import require_package
from archdsl.progress import Progress
from archdsl.report.grid import grid
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.shapes import format_shape

CANDIDATES = 16
"""Networks of the library, those with the nearest numbers of parameters, whose names are compared with the file's."""


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor of a file. The statistics are those of its finite values, None if it has none."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    minimum: float | None
    maximum: float | None
    mean: float | None
    std: float | None
    nan: int
    infinite: int


@dataclass(frozen=True, slots=True)
class LikelyNetwork:
    """A network of the library: how many of its tensors the file has by name and shape, of how many."""

    name: str
    fitting: int
    tensors: int


@dataclass(frozen=True, repr=False)
class Inspection(ShownAsText):
    """The content of a weights file. `prefix` precedes the names of the network's tensors, or of most tensors;
    `second` are places below it that repeat its names and shapes; `networks` is None if none were compared."""

    path: Path
    format: str
    prefix: str
    second: tuple[str, ...]
    places: tuple[str, ...]
    tensors: tuple[TensorFacts, ...]
    networks: tuple[LikelyNetwork, ...] | None
    unusable: tuple[str, ...]
    notes: tuple[Diagnostic, ...]

    @property
    def parameters(self) -> int:
        """The number of values below the prefix, without counters and second sets."""
        inside = [t for t in self.tensors if t.name.startswith(self.prefix) and not t.name.endswith(COUNTER)]
        second = set(self.second)
        return sum(prod(tensor.shape) for tensor in inside if second.isdisjoint(prefixes(tensor.name)))

    def to_json(self) -> dict[str, Any]:
        """Return the inspection as plain data."""
        data = {key: value for key, value in asdict(self).items() if key != "notes"}
        return {**data, "path": str(self.path), "parameters": self.parameters, "notes": [n.message for n in self.notes]}

    def text(self, style: Style = Style()) -> str:
        """Return the inspection as a table with a summary."""
        titles = ["tensor", "shape", "dtype", "min", "max", "mean", "std", "NaN", "inf"]
        rows = []
        for t in self.tensors:
            statistics = [_number(value) for value in (t.minimum, t.maximum, t.mean, t.std)]
            counts = [str(count or "-") for count in (t.nan, t.infinite)]
            rows.append([t.name, format_shape(t.shape) or "scalar", t.dtype, *statistics, *counts])
        table = grid(titles, rows, titles[3:], style, ("std", "mean", "inf"))
        dtypes = ", ".join(f"{count} {name}" for name, count in Counter(t.dtype for t in self.tensors).most_common())
        likely = [f"{n.name} ({n.fitting:,} of {n.tensors:,} tensors)" for n in self.networks or ()]
        facts = {
            "format": self.format,
            "tensors": f"{len(self.tensors):,} ({dtypes})",
            "places": ", ".join(place.removesuffix(".") or "(top)" for place in self.places),
            "prefix": self.prefix.removesuffix(".") or "none",
            "beside": ", ".join(place.removesuffix(".") for place in self.second[:10]),
            "values": f"{self.parameters:,} below the prefix",
            "unusable": ", ".join(self.unusable[:10]),
            "network": ", ".join(likely) or ("" if self.networks is None else "none of the library has these names"),
        }
        lines = [f"{label:<9} {text}" for label, text in facts.items() if text]
        return table + "\n" + "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def inspect(file: str | os.PathLike[str], *, networks: bool = True, progress: Progress | None = None) -> Inspection:
    """Return the tensors of a weights file with their statistics, the layout found, and the likely networks.

    With `networks`, names and shapes are compared with networks of the library that have about as many parameters; the
    first time, all networks are counted, and `progress` is called. Raises E0601, E0602 or E0607 for the file.
    """
    check_type("file", file, "a path", str, os.PathLike)
    check_flags(networks=networks)
    check_callables(progress=progress)
    require_package("numpy")
    weights = load(file)
    prefix, likely = (fullest_place(weights), None) if not networks else _likely(weights, progress)
    return Inspection(
        Path(file),
        weights.format,
        prefix,
        tuple(sorted(second_sets(weights.entries, prefix))),
        tuple(weights.places),
        tuple(_facts(name, entry) for name, entry in weights.entries.items()),
        likely,
        tuple(problem.diagnostics[0].message for problem in weights.problems.values()),
        weights.notes,
    )


def _facts(name: str, entry: TensorEntry) -> TensorFacts:
    values = entry.make()
    finite = values[np.isfinite(values)]
    nan = int(np.isnan(values).sum())
    infinite = values.size - finite.size - nan
    row = (name, entry.shape, entry.stored or entry.dtype)
    if not finite.size:
        return TensorFacts(*row, None, None, None, None, nan, infinite)
    mean, std = float(finite.mean(dtype=np.float64)), float(finite.std(dtype=np.float64))
    return TensorFacts(*row, float(finite.min()), float(finite.max()), mean, std, nan, infinite)


def _likely(weights: Checkpoint, progress: Progress | None) -> tuple[str, tuple[LikelyNetwork, ...]]:
    """The prefix of the best network, and up to three networks of which the file has most tensors."""
    from archdsl.library.catalog import catalog
    from archdsl.network import load as load_network

    prefix = fullest_place(weights)
    second = second_sets(weights.entries, prefix)
    inside = [key for key in weights.entries if key.startswith(prefix) and second.isdisjoint(prefixes(key))]
    size = sum(prod(weights.entries[key].shape) for key in inside)
    nearest = sorted(catalog(progress), key=lambda entry: abs(log(max(entry.params, 1) / max(size, 1))))[:CANDIDATES]
    found: list[tuple[float, str, LikelyNetwork]] = []
    for entry in nearest:
        shapes = {tensor.key: tensor.param.shape for tensor in load_network(entry.name).graph.tensors}
        try:
            located = locate(weights, shapes, Reading())
        except ArchError:  # the weights of several networks
            continue
        fitting = sum(weights.entries[full].shape == shapes.get(name) for name, full in located.names.items())
        if 2 * fitting > len(shapes):
            row = LikelyNetwork(entry.name, fitting, len(shapes))
            found.append((-fitting / max(len(shapes), len(located.names)), located.prefix, row))
    found.sort(key=lambda row: row[0])
    return found[0][1] if found else prefix, tuple(row for _, _, row in found[:3])
