"""Weights matched to a graph by name and shape: exactly, or an error that shows what differs."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np

from archdsl.backends.weights.initial import start
from archdsl.backends.weights.tensors import TensorEntry, Weights, given
from archdsl.diagnostics import ArchError, Diagnostic, did_you_mean, error
from archdsl.graph import Graph, Tensor
from archdsl.shapes import format_shape

SHOWN = 10
"""Rows of the table in an error, and names in a note."""
_OLD_DENSENET = re.compile(r"\b(norm|relu|conv)\.(\d+)\.")


@dataclass
class _Match:
    """What was found for the graph's tensors, and what was not."""

    entries: dict[str, TensorEntry] = field(default_factory=dict)
    missing: list[Tensor] = field(default_factory=list)
    misshaped: list[tuple[Tensor, TensorEntry]] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)


def fit(weights: Mapping[str, Any], graph: Graph, reinit: Sequence[str] = (), seed: int = 0) -> Weights:
    """The weights in the graph's order, every tensor of `graph.tensors` present and of its shape.

    `weights` is what `load` gives, or any mapping of arrays or torch tensors, a `state_dict()`.

    `reinit` names tensors (`fc.*`, or a node's path `fc`) that start afresh whatever the file holds of them. So do,
    where the file lacks them, `num_batches_tracked`, fixed numbers and auxiliary heads. Old DenseNet names
    (`norm.1.weight`) are understood. The result's `notes` tell all of this, and warn (W0606) of numbers that
    cannot be right.

    Errors: E0603 the tensors do not fit; E0604 a pattern of `reinit` that matches nothing.
    """
    weights = given(weights)
    fresh = _fresh_keys(graph, reinit)
    entries, renamed = _renamed(weights.entries, graph)
    match = _match(entries, graph, fresh, seed)
    if match.missing or match.misshaped or match.unexpected:
        raise _misfit(graph, entries, match)
    notes = list(weights.notes)
    if renamed:
        notes.append(_note(f"{renamed} tensors have DenseNet's old names: renamed"))
    if fresh:
        notes.append(_note(f"started afresh with seed {seed}: {_listed(sorted(fresh))}"))
    if match.filled:
        notes.append(_note(f"not among the weights, started with seed {seed}: {_listed(match.filled)}"))
    suffix = f"; with seed {seed}: {', '.join(reinit)}" if fresh else ""
    looked_at = [tensor for tensor in graph.tensors if tensor.key in entries and tensor.key not in fresh]
    oddities = partial(_with_oddities, tuple(notes), looked_at, entries)
    return Weights(match.entries, lambda: weights.source + suffix, oddities)


def _fresh_keys(graph: Graph, patterns: Iterable[str]) -> set[str]:
    keys = [tensor.key for tensor in graph.tensors]
    fresh: set[str] = set()
    for pattern in patterns:
        found = {key for key in keys if fnmatchcase(key, pattern) or fnmatchcase(key, f"{pattern}.*")}
        if not found:
            paths = [tensor.node.path for tensor in graph.tensors]
            raise error(
                "E0604",
                f"no tensor of `{graph.name}` is named `{pattern[:100]}`",
                help=did_you_mean(pattern.removesuffix(".*"), dict.fromkeys([*reversed(paths), *keys])),
            )
        fresh |= found
    return fresh


def _renamed(entries: Mapping[str, TensorEntry], graph: Graph) -> tuple[Mapping[str, TensorEntry], int]:
    """torchvision's DenseNet checkpoints say `norm.1.weight` where every network since says `norm1.weight`."""
    known = {tensor.key for tensor in graph.tensors}
    out: dict[str, TensorEntry] = {}
    count = 0
    for key, entry in entries.items():
        name = key
        if key not in known and "." in key:
            modern = _OLD_DENSENET.sub(r"\1\2.", key)
            if modern != key and modern in known and modern not in entries:
                name, count = modern, count + 1
        out[name] = entry
    return (out, count) if count else (entries, 0)


def _match(entries: Mapping[str, TensorEntry], graph: Graph, fresh: Collection[str], seed: int) -> _Match:
    match = _Match()
    for tensor in graph.tensors:
        key, param = tensor.key, tensor.param
        entry = entries.get(key)
        if key in fresh:
            match.entries[key] = start(key, param, seed)
        elif entry is None:
            match.entries[key] = start(key, param, seed)
            if param.name == "num_batches_tracked":
                continue
            if tensor.node.training or param.init.how == "data":
                match.filled.append(key)
            else:
                match.missing.append(tensor)
        elif entry.shape != param.shape or entry.dtype != param.dtype:
            match.misshaped.append((tensor, entry))
        else:
            match.entries[key] = entry
    known = {tensor.key for tensor in graph.tensors}
    match.unexpected = [key for key in entries if key not in known]
    return match


# --- what is said ----------------------------------------------------------------------------------------


def _misfit(graph: Graph, entries: Mapping[str, TensorEntry], match: _Match) -> ArchError:
    counts = (
        (len(match.missing), "missing"),
        (len(match.unexpected), "unexpected"),
        (len(match.misshaped), "of another shape"),
    )
    told = ", ".join(f"{count:,} {what}" for count, what in counts if count)
    rows, told_of = _rows(entries, match)
    width = max(len(row[1]) for row in rows)
    table = "\n".join(f"{kind:<12}{key:<{width}}  {what}" for kind, key, what in rows)
    more = sum(count for count, _ in counts) - told_of
    notes = (table + (f"\n... and {more:,} more" if more > 0 else ""),)
    return error("E0603", f"the weights do not fit `{graph.name}`: {told}", notes=notes, help=_advice(match))


def _rows(entries: Mapping[str, TensorEntry], match: _Match) -> tuple[list[tuple[str, str, str]], int]:
    """The first rows, and how many tensors they tell of: a missing one may be paired with an unexpected one."""
    rows, pairs = [], 0
    for tensor, entry in match.misshaped[:SHOWN]:
        want, have = _shape(tensor.param.shape, tensor.param.dtype), _shape(entry.shape, entry.dtype)
        rows.append(("shape", tensor.key, f"{want} in the network, {have} in the file"))
    left = dict.fromkeys(match.unexpected)
    for tensor in match.missing[: SHOWN - len(rows)]:
        near = _likeness(tensor, left, entries)
        left.pop(near, None)
        pairs += near != ""
        said = f"; the file has `{near[:100]}`, {_shape(entries[near].shape)}" if near else ""
        rows.append(("missing", tensor.key, _shape(tensor.param.shape) + said))
    for key in list(left)[: SHOWN - len(rows)]:
        rows.append(("unexpected", key[:100], _shape(entries[key].shape)))
    return rows, len(rows) + pairs


def _likeness(tensor: Tensor, left: Mapping[str, None], entries: Mapping[str, TensorEntry]) -> str:
    """The unexpected name that was probably meant: of the same shape if there is one."""
    names = [key for key in left if entries[key].shape == tensor.param.shape][:500] or list(left)[:500]
    found = difflib.get_close_matches(tensor.key, names, n=1, cutoff=0.5)
    return found[0] if found else ""


def _advice(match: _Match) -> str:
    if match.misshaped and not match.missing and not match.unexpected:
        paths = list(dict.fromkeys(tensor.node.path for tensor, _ in match.misshaped))
        if len(paths) <= 3:
            options = " ".join(f"--reinit '{path}.*'" for path in paths)
            widths = {entry.shape[:1] for _, entry in match.misshaped}
            same = f"`-a classes={widths.pop()[0]}` gives the network as many; " if len(widths) == 1 else ""
            return f"other classes than the file's? {same}`{options}` starts them afresh"
    return "is it the file of another variant? names and shapes must be exactly those of the network"


def _shape(shape: tuple[int, ...], dtype: str = "float32") -> str:
    return (format_shape(shape) or "one number") + ("" if dtype == "float32" else f" ({dtype})")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _note(message: str) -> Diagnostic:
    return Diagnostic("N0601", message, severity="note")


def _with_oddities(
    notes: tuple[Diagnostic, ...], tensors: Iterable[Tensor], entries: Mapping[str, TensorEntry]
) -> tuple[Diagnostic, ...]:
    return (*notes, *(note for tensor in tensors for note in _oddities(tensor, entries[tensor.key])))


def _oddities(tensor: Tensor, entry: TensorEntry) -> list[Diagnostic]:
    """Numbers that no training leaves behind. Of most tensors the sum says that there are none; else the least and the
    largest number do. Neither needs memory."""
    if entry.dtype != "float32" or not entry.nbytes:
        return []
    numbers, param, why = entry.make(), tensor.param, ""
    with np.errstate(invalid="ignore", over="ignore"):
        plain = param.name != "running_var" and param.init.how != "data"
        if plain and (total := float(numbers.sum())) and np.isfinite(total):
            return []
        least, most = float(numbers.min()), float(numbers.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        why = "holds numbers that are not finite"
    elif param.name == "running_var" and least <= 0:
        why = f"holds a variance of {least:g}"
    elif param.init.how in ("kaiming", "uniform") and least == most == 0:
        why = "is all zeros"
    elif param.init.how == "data" and not np.array_equal(numbers, start(tensor.key, param, 0).make()):
        why = "differs from the fixed numbers of the spec"
    return [Diagnostic("W0606", f"`{tensor.key}` {why}", severity="warning")] if why else []
