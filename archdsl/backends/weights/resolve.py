"""What a user hands in as weights, as tensors that fit a graph."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from archdsl.backends.weights import Weights, fit, initial, load, safetensors
from archdsl.diagnostics import ArchError, escape_control
from archdsl.diagnostics.arguments import check_type
from archdsl.graph import Graph

WeightsSource: TypeAlias = str | os.PathLike[str] | Mapping[str, object]
"""A file (.safetensors, .pth), or arrays or torch tensors by name: a `state_dict()`."""


def given(graph: Graph, source: WeightsSource | None, seed: int, reinit: Sequence[str]) -> Weights:
    """The graph's tensors: from a file, from arrays or torch tensors by name, or (None) started from `seed`.

    `reinit` names tensors that start afresh whatever the source holds of them. Raises E06xx; E0004 for a source of
    another type.
    """
    if source is None:
        return initial(graph, seed)
    check_type("weights", source, "a path, or arrays by name", str, os.PathLike, Mapping)
    if isinstance(source, (str, os.PathLike)):
        source = _loaded(Path(source))
    return fit(source, graph, reinit, seed)


def strict_weights(weights: Weights) -> Weights:
    """The weights. Raises W0606 as an error for tensors that are not finite, or all zero."""
    if any(note.severity == "warning" for note in weights.notes):
        raise ArchError(replace(n, severity="error") if n.severity == "warning" else n for n in weights.notes)
    return weights


def _loaded(path: Path) -> Weights:
    """The weights of a file. What archdsl itself wrote there at random stays known as random."""
    found = load(path)
    noted = safetensors.metadata(path).get("weights", "") if path.suffix.lower() == ".safetensors" else ""
    if not noted.startswith("random"):
        return found
    said = escape_control(noted[:100])
    return Weights(found.entries, lambda: f"{said} ({found.source})", found.notes)
