"""What a user hands in as weights, as tensors that fit a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from archdsl.backends.weights import Array, TensorEntry, Weights, fit, initial, load, safetensors
from archdsl.diagnostics import escape_control
from archdsl.graph import Graph


def given(graph: Graph, source: Any, seed: int, reinit: Sequence[str]) -> Weights:
    """The graph's tensors: from a file, from arrays or torch tensors by name, or (None) started from `seed`.

    `reinit` names tensors that start afresh whatever the source holds of them. Raises E06xx.
    """
    if source is None:
        return initial(graph, seed)
    if isinstance(source, (str, Path)):
        source = _loaded(Path(source))
    elif not isinstance(source, Weights):
        source = _named(source)
    return fit(source, graph, reinit, seed)


def _loaded(path: Path) -> Weights:
    """The weights of a file. What archdsl itself wrote there at random stays known as random."""
    found = load(path)
    noted = safetensors.metadata(path).get("weights", "") if path.suffix.lower() == ".safetensors" else ""
    if not noted.startswith("random"):
        return found
    said = escape_control(noted[:100])
    return Weights(found.entries, lambda: f"{said} ({found.source})", found.notes)


def _named(arrays: Mapping[str, Any]) -> Weights:
    entries = {}
    for key, value in arrays.items():
        array: Array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        array = array.astype(np.int64 if array.dtype.kind in "iub" else np.float32, copy=False)
        entries[key] = TensorEntry(array.shape, str(array.dtype), partial(_same, array))
    return Weights(entries, "given")


def _same(array: Array) -> Array:
    return array
