"""Resolve the `weights` argument of the verbs: a file, arrays by name, or None, as tensors that fit a graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from archdsl.backends.weights import Weights, fit, initial, load, safetensors
from archdsl.backends.weights.inflate import Inflate
from archdsl.diagnostics import ArchError, escape_control
from archdsl.diagnostics.arguments import check_type
from archdsl.graph import Graph

WeightsSource: TypeAlias = str | os.PathLike[str] | Mapping[str, object]
"""A file (.safetensors, .pth), or arrays or torch tensors by name: a `state_dict()`."""


def resolve_weights(
    graph: Graph,
    source: WeightsSource | None,
    seed: int,
    reinit: Sequence[str],
    inflate: Inflate | None,
    classes: int | None,
) -> Weights:
    """Return the graph's tensors from a file, from arrays or torch tensors by name, or (None) initialised with `seed`.

    `reinit` names tensors to initialise even if the source contains them, `inflate` how filters get the axes that they
    lack, `classes` the width of the output if an argument sets it. Raises E06xx if the source cannot be used, E0004 if
    it has another type.
    """
    if source is None:
        return initial(graph, seed)
    check_type("weights", source, "a path, or arrays by name", str, os.PathLike, Mapping)
    if isinstance(source, (str, os.PathLike)):
        source = _loaded(Path(source))
    return fit(source, graph, reinit, seed, inflate, classes)


def strict_weights(weights: Weights) -> Weights:
    """Return the weights. Raises their warnings W0606, suspicious values, as errors."""
    if any(note.severity == "warning" for note in weights.notes):
        raise ArchError(replace(n, severity="error") if n.severity == "warning" else n for n in weights.notes)
    return weights


def _loaded(path: Path) -> Weights:
    """The weights of a file. Random weights that archdsl wrote keep `random` in their source."""
    weights = load(path)
    source = safetensors.metadata(path).get("weights", "") if path.suffix.lower() == ".safetensors" else ""
    if not source.startswith("random"):
        return weights
    origin = escape_control(source[:100])
    return Weights(weights.entries, lambda: f"{origin} ({weights.source})", weights.notes)
