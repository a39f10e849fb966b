"""Resolve the `weights` argument of the verbs: a file, arrays by name, or None, as tensors that fit a graph."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from archdsl.backends.weights import Weights, fit, initial, load
from archdsl.backends.weights.fit import PLAIN
from archdsl.backends.weights.inflate import Inflate
from archdsl.backends.weights.layout import Reading
from archdsl.diagnostics import ArchError, escape_control
from archdsl.diagnostics.arguments import check_type
from archdsl.graph import Graph

WeightsSource: TypeAlias = str | os.PathLike[str] | Mapping[str, object]
"""A file (.safetensors, .pth), or arrays or torch tensors by name: a `state_dict()`."""
_SHOWN = 200
"""Characters of the source of random weights that are shown."""


def resolve_weights(
    graph: Graph,
    source: WeightsSource | None,
    seed: int,
    reinit: Sequence[str],
    inflate: Inflate | None,
    classes: int | None,
    reading: Reading = PLAIN,
) -> Weights:
    """Return the graph's tensors from a file, from arrays or torch tensors by name, or (None) initialised with `seed`.

    `reinit` names tensors to initialise even if the source contains them, `inflate` how filters get the axes that they
    lack, `classes` the width of the output if an argument sets it, `reading` how to read another layout. Raises E06xx
    if the source cannot be used, E0004 if it has another type.
    """
    if source is None:
        return initial(graph, seed)
    check_type("weights", source, "a path, or arrays by name: a `state_dict()`", str, os.PathLike, Mapping)
    if isinstance(source, (str, os.PathLike)):
        source = _loaded(Path(source))
    return fit(source, graph, reinit, seed, inflate, classes, reading)


def strict_weights(weights: Weights) -> Weights:
    """Return the weights. Raises their warnings, such as W0606 for suspicious values, as errors."""
    if any(note.severity == "warning" for note in weights.notes):
        raise ArchError(replace(n, severity="error") if n.severity == "warning" else n for n in weights.notes)
    return weights


def _loaded(path: Path) -> Weights:
    """The weights of a file. Of one that archdsl wrote, the source states again which tensors are random."""
    weights = load(path)
    claim = weights.claim
    return weights.stated(lambda: still_random(claim, weights.source)) if still_random(claim, "") else weights


def still_random(stated: str, source: str) -> str:
    """Return the `source` of weights that a file contains, and again what the file has `stated` of random ones.

    The source of weights that are all random begins with `random`: `random, seed 3 (imported from model.onnx)`.
    """
    begin = stated if len(stated) <= _SHOWN else f"{stated[:_SHOWN].rpartition(' ')[0] or stated[:_SHOWN]} ..."
    made = random_patterns(stated)
    source = f"{escape_control(begin)} ({source})" if stated.startswith("random") else source
    return f"{source}; {made}" if made else source


_WITH_SEED = re.compile(r"with seed \d{1,19}: [^;]*")


def random_patterns(source: str) -> str:
    """Return what the source of weights says of tensors that started at random, `with seed 0: fc.*`; else nothing."""
    found = _WITH_SEED.search(source)
    return escape_control(found[0][:200]) if found else ""
