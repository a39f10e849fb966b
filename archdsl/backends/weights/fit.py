"""Match weights to a graph by name and shape; an error lists the differences."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from math import prod
from typing import Any

import numpy as np

from archdsl.axes import KINDS, axes_of, listed
from archdsl.backends.weights.adapt import adaptable, adapted
from archdsl.backends.weights.inflate import Inflate, inflated, new_axes
from archdsl.backends.weights.initial import initial_entry
from archdsl.backends.weights.layout import COUNTER, Located, Reading, locate, prefixes, report
from archdsl.backends.weights.tensors import TensorEntry, Weights, as_weights
from archdsl.diagnostics import ArchError, Diagnostic, did_you_mean, error
from archdsl.graph import Graph, Tensor
from archdsl.ops.base import Param
from archdsl.ops.conv import Conv, Deconv
from archdsl.report.text import few
from archdsl.shapes import format_shape

PLAIN = Reading()
SHOWN = 10
"""Maximum rows of the table in an error, and names in a note."""


@dataclass
class _Match:
    """The entries of the graph's tensors, and everything that does not match."""

    entries: dict[str, TensorEntry] = field(default_factory=dict)
    missing: list[Tensor] = field(default_factory=list)
    misshaped: list[tuple[Tensor, TensorEntry]] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    reshaped: list[str] = field(default_factory=list)


def fit(
    weights: Mapping[str, Any],
    graph: Graph,
    reinit: Sequence[str] = (),
    seed: int = 0,
    inflate: Inflate | None = None,
    classes: int | None = None,
    reading: Reading = PLAIN,
) -> Weights:
    """Return the weights in the graph's order, with every tensor of `graph.tensors` in its shape.

    `weights` is the result of `load`, or a mapping of names to arrays or torch tensors, such as a `state_dict()`. The
    tensors may be anywhere in it (`layout.py`); `reading` says how to read another layout.

    `reinit` names tensors to initialise with `seed` (`fc.*`, or a node's path `fc`), even if `weights` contains them,
    also in another form: tensors of the file below such a pattern are left out.
    `inflate` gives filters that lack axes, those of a network for images, the axes of this one (`inflate.py`).
    `classes` is the width of the output, if an argument of this name sets it: only an error proposes it.
    Missing `num_batches_tracked`, values given in the spec and auxiliary heads are initialised as well. Tensors of
    auxiliary heads that the graph left out are skipped. The result's `notes` report all of this, and warn (W0606) about
    suspicious values.

    Raises E0603 if tensors are missing, unexpected or of another shape, E0604 if a pattern matches nothing, E0608 if
    the weights of the network are in several places.
    """
    weights = as_weights(weights)
    fresh = _fresh_keys(graph, reinit)
    optional = {tensor.key for tensor in graph.tensors if _is_optional(tensor)}
    located = locate(weights, {tensor.key: tensor.param.shape for tensor in graph.tensors}, reading, optional)
    notes = list(weights.notes)
    report(located, lambda message: notes.append(_note(message)))
    entries = _entries(weights, located, graph, reinit, reading.ignores, notes)
    changes = ""
    if reading.adapt_input:
        entries, count = adapted(entries, graph, fresh)
        notes.append(_note(f"{count or 'no'} filter{'s' * (count != 1)} adapted to the channels of the input"))
        changes += "; input adapted" if count else ""
    if inflate is not None:
        entries, count = inflated(entries, graph, inflate, fresh)
        notes.append(_note(f"{count or 'no'} tensors inflated to the axes of the network, by `{inflate}`"))
        changes += f"; inflated by {inflate}" if count else ""
    match = _match(entries, graph, fresh, seed)
    if match.missing or match.misshaped or match.unexpected:
        raise _misfit(graph, entries, match, _joining(located, match) or _advice(graph, entries, match, classes))
    if match.skipped:
        notes.append(_note(f"skipped, because the input is too small for their head: {few(match.skipped, SHOWN)}"))
    if match.reshaped:
        notes.append(_note(f"reshaped, with the same values in the same order: {few(match.reshaped, SHOWN)}"))
    if fresh:
        notes.append(_note(f"initialised with seed {seed}: {few(sorted(fresh), SHOWN)}"))
    if match.filled:
        notes.append(_note(f"missing in the weights, initialised with seed {seed}: {few(match.filled, SHOWN)}"))
    random = {tensor.key for tensor in graph.tensors if tensor.key in fresh and not tensor.node.training}
    patterns = [pattern for pattern in reinit if any(_matches(key, pattern) for key in random)]
    changes += f"; with seed {seed}: {', '.join(patterns)}" if patterns else ""
    used = [tensor for tensor in graph.tensors if tensor.key in entries and tensor.key not in fresh]
    read = {tensor.key: match.entries[tensor.key] for tensor in used}
    return Weights(match.entries, lambda: weights.source + changes, partial(_with_warnings, tuple(notes), used, read))


def _entries(
    weights: Weights,
    located: Located,
    graph: Graph,
    reinit: Sequence[str],
    ignores: Callable[[str, str], str | None],
    notes: list[Diagnostic],
) -> dict[str, TensorEntry]:
    """The tensors by the network's names, without those of another form of what is initialised.

    Raises the error of a tensor that cannot be used where it would be.
    """
    problems: Mapping[str, ArchError] = getattr(weights, "problems", {})
    others = set(located.others)
    for full, problem in problems.items():
        name = full[len(located.prefix) :]
        inside = full.startswith(located.prefix) and others.isdisjoint(prefixes(full))
        if inside and not ignores(full, name) and not any(_matches(name, p) for p in reinit):
            raise problem
    known = {tensor.key for tensor in graph.tensors}
    entries = {name: weights.entries[full] for name, full in located.names.items()}
    other = [name for name in entries if name not in known and any(_matches(name, pattern) for pattern in reinit)]
    if other:
        notes.append(_note(f"left out, because they are initialised in another form: {few(other, SHOWN)}"))
    return {name: entry for name, entry in entries.items() if name not in other}


def _matches(key: str, pattern: str) -> bool:
    return fnmatchcase(key, pattern) or fnmatchcase(key, f"{pattern}.*")


def _fresh_keys(graph: Graph, patterns: Iterable[str]) -> set[str]:
    keys = [tensor.key for tensor in graph.tensors]
    fresh: set[str] = set()
    for pattern in patterns:
        matching = {key for key in keys if _matches(key, pattern)}
        if not matching:
            paths = [tensor.node.path for tensor in graph.tensors]
            raise error(
                "E0604",
                f"no tensor of `{graph.name}` is named `{pattern[:100]}`",
                help=did_you_mean(pattern.removesuffix(".*"), dict.fromkeys([*reversed(paths), *keys])),
            )
        fresh |= matching
    return fresh


def _match(entries: Mapping[str, TensorEntry], graph: Graph, fresh: Collection[str], seed: int) -> _Match:
    match = _Match()
    for tensor in graph.tensors:
        key, param = tensor.key, tensor.param
        entry = entries.get(key)
        if key in fresh:
            match.entries[key] = initial_entry(key, param, seed)
        elif entry is None:
            match.entries[key] = initial_entry(key, param, seed)
            if param.name == COUNTER:
                continue
            if _is_optional(tensor):
                match.filled.append(key)
            else:
                match.missing.append(tensor)
        elif (given := _in_form(entry, param)) is None:
            match.misshaped.append((tensor, entry))
        else:
            match.entries[key] = given
            if entry.shape != given.shape and param.name != COUNTER:
                match.reshaped.append(key)
    known = {tensor.key for tensor in graph.tensors}
    for key in entries:
        if key not in known:
            of_head = any(key == name or key.startswith(f"{name}.") for name in graph.unfit_heads)
            (match.skipped if of_head else match.unexpected).append(key)
    return match


def _is_optional(tensor: Tensor) -> bool:
    """Whether a file may lack it: a tensor of an auxiliary head, or values given in the spec."""
    return tensor.node.training or tensor.param.init.how == "data"


def _in_form(entry: TensorEntry, param: Param) -> TensorEntry | None:
    """The entry in the tensor's shape and type; None if its values are others.

    A counter may be a float or have an axis: inference does not read it. A matrix may be stored as filters of the
    window that they cover, a vector with axes of 1, and the other way round: the values and their order are the same.
    """
    if entry.shape == param.shape and entry.dtype == param.dtype:
        return entry
    if param.name == COUNTER and prod(entry.shape) == 1:
        return TensorEntry((), param.dtype, lambda: entry.make().reshape(()).astype(param.dtype), entry.stored)
    least = min(len(entry.shape), len(param.shape))
    matrix = least == 2 and entry.shape[:1] == param.shape[:1]
    vector = least < 2 and _without_ones(entry.shape) == _without_ones(param.shape)
    if entry.dtype != param.dtype or prod(entry.shape) != prod(param.shape) or not (matrix or vector):
        return None
    return TensorEntry(param.shape, param.dtype, lambda: entry.make().reshape(param.shape), entry.stored)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for n in shape if n != 1)


# --- messages --------------------------------------------------------------------------------------------


def _misfit(graph: Graph, entries: Mapping[str, TensorEntry], match: _Match, help: str) -> ArchError:
    counts = (
        (len(match.missing), "missing"),
        (len(match.unexpected), "unexpected"),
        (len(match.misshaped), "of another shape"),
    )
    summary = ", ".join(f"{count:,} {problem}" for count, problem in counts if count)
    rows, covered = _rows(entries, match)
    width = max(len(row[1]) for row in rows)
    table = "\n".join(f"{problem:<12}{key:<{width}}  {detail}" for problem, key, detail in rows)
    more = sum(count for count, _ in counts) - covered
    notes = (table + (f"\n... and {more:,} more" if more > 0 else ""),)
    message = f"the weights do not fit `{graph.name}`: {summary}"
    return error("E0603", message, notes=notes, help=help)


def _rows(entries: Mapping[str, TensorEntry], match: _Match) -> tuple[list[tuple[str, str, str]], int]:
    """The first rows, and the number of tensors that they cover: a row may pair a missing and an unexpected one."""
    rows, pairs = [], 0
    for tensor, entry in match.misshaped[:SHOWN]:
        want, have = _shape(tensor.param.shape, tensor.param.dtype), _shape(entry.shape, entry.stored or entry.dtype)
        rows.append(("shape", tensor.key, f"{want} in the network, {have} in the file"))
    left = dict.fromkeys(match.unexpected)
    for tensor in match.missing[: SHOWN - len(rows)]:
        near = _most_similar(tensor, left, entries)
        left.pop(near, None)
        pairs += near != ""
        similar = f"; the file has `{near[:100]}`, {_shape(entries[near].shape)}" if near else ""
        rows.append(("missing", tensor.key, _shape(tensor.param.shape) + similar))
    for key in list(left)[: SHOWN - len(rows)]:
        rows.append(("unexpected", key[:100], _shape(entries[key].shape)))
    return rows, len(rows) + pairs


def _most_similar(tensor: Tensor, left: Mapping[str, None], entries: Mapping[str, TensorEntry]) -> str:
    """The most similar unexpected name, of the same shape if there is one; empty if none is similar."""
    names = [key for key in left if entries[key].shape == tensor.param.shape][:500] or list(left)[:500]
    return next(iter(difflib.get_close_matches(tensor.key, names, n=1, cutoff=0.5)), "")


def _joining(located: Located, match: _Match) -> str:
    """How to read the missing tensors too, if all of them are beside the place that was read; else nothing."""
    beside, inner = set(located.beside), located.prefix.removesuffix(".")
    for outer in prefixes(inner) if match.missing else ():
        if all(outer + tensor.key in beside for tensor in match.missing):
            rule = f"{inner[len(outer) :][:80]}="
            return f"the missing tensors are beside `{inner[:80]}`: `--rename '{rule}'` reads both places as one"
    return ""


def _advice(graph: Graph, entries: Mapping[str, TensorEntry], match: _Match, classes: int | None) -> str:
    """How to repair the differences. `classes` is the value of the spec's argument of this name."""
    pairs = [(tensor, entry.shape) for tensor, entry in match.misshaped if entry.shape != tensor.param.shape]
    if any(_more_axes(tensor, shape) for tensor, shape in pairs):
        return (
            "the file is for inputs with more axes: inflating only adds axes; use weights of a network for "
            f"{KINDS[axes_of(pairs[0][0].node.in_shapes[0])].noun}"
        )
    if any(_more_axes(tensor, shape, -1) for tensor, shape in pairs):
        return _inflation(graph, pairs)
    if match.missing or match.unexpected:
        return _other_names(graph, entries, match, bool(pairs))
    if len(pairs) < len(match.misshaped):
        return "integers are no weights: was the model quantised? Save it before that"
    words = dict.fromkeys(word for tensor, shape in pairs for word in _differences(tensor, shape))
    others = [pair for pair in pairs if not _only_channels_differ(graph, *pair)]
    if words and not others:
        return (
            "the input channels differ: `archdsl compile` adapts these filters with `--adapt-input`, or initialises "
            f"them with `{_reinit(pairs)}`"
        )
    if not words or not _reinit(pairs):
        return "are these the weights of another variant? Names and shapes must be those of the network"
    widths = {shape[0] if shape else 1 for _, shape in pairs}
    differ = f"the {listed(list(words))} {'differs' if [*words] == ['window'] else 'differ'}: "
    last = any(_is_last(graph, tensor) for tensor, _ in pairs)
    if (
        last
        and [*words] == ["outputs"]
        and len(widths) == 1
        and {tensor.param.shape[0] for tensor, _ in pairs} == {classes}
    ):
        differ += f"`-a classes={widths.pop()}` matches the file; "
    if len(others) < len(pairs):
        repairs = f"adapts filters with `--adapt-input`, and initialises the other tensors with `{_reinit(others)}`"
        return f"{differ}`archdsl compile` {repairs}"
    return f"{differ}`archdsl compile` initialises these tensors with `{_reinit(pairs)}`"


_PARAMETRIZED = {
    "weight_g": "the file has weight norms: call `torch.nn.utils.remove_weight_norm` before saving",
    "original0": "the file has parametrizations: call `parametrize.remove_parametrizations` before saving",
    "weight_mask": "the file has a mask of pruning: call `torch.nn.utils.prune.remove` before saving",
    "weight_orig": "the file has spectral norms: call `torch.nn.utils.remove_spectral_norm` before saving",
    "zero_point": "the file is quantised: save the model before quantising it",
    "_packed_params": "the file is quantised: save the model before quantising it",
    "lora_A": "the file has LoRA adapters: merge them into the model before saving",
}
"""By a part of a name: what was done to a model whose names have it."""


def _other_names(graph: Graph, entries: Mapping[str, TensorEntry], match: _Match, misshaped: bool) -> str:
    """How to repair missing and unexpected tensors."""
    for part, repair in _PARAMETRIZED.items():
        if any(part in key.split(".") for key in match.unexpected):
            return repair
    if not match.missing and not misshaped:
        names = _patterns(match.unexpected, entries)
        if names:
            options = " ".join(f"--ignore '{name[:80]}'" for name in names)
            nodes = {tensor.node.path for tensor in graph.tensors}
            layers = [key for key in match.unexpected if key.rpartition(".")[0] in nodes]
            differ = f". The outputs change without `{layers[0][:80]}`, which is of a layer in use" if layers else ""
            return f"the network has no such tensors; `archdsl compile` leaves them out with `{options}`{differ}"
    if not match.unexpected and not misshaped:
        keys = [tensor.key for tensor in graph.tensors if tensor.param.name != COUNTER]
        if names := _patterns([tensor.key for tensor in match.missing], keys):
            options = " ".join(f"--reinit '{name}'" for name in names)
            return f"`archdsl compile` initialises them with `{options}`"
    return (
        "are these the weights of another variant? If only the names differ, `--rename 'OLD=NEW'` of `archdsl compile` "
        "gives them those of the network, and `archdsl weights match FILE SPEC` finds them"
    )


def _patterns(keys: Sequence[str], known: Iterable[str]) -> list[str]:
    """Patterns that match these names and no other known one: at most three paths, or six names; else none."""
    others = set(known).difference(keys)
    for depth in (-1, 1):  # the layers, then the first parts of the names
        paths = dict.fromkeys(".".join(key.split(".")[:depth]) or key for key in keys)
        if len(paths) <= 3:
            break
    else:
        return []
    found: list[str] = []
    for path in paths:
        below = [key for key in keys if key.startswith(f"{path}.")]
        whole = below and not any(key.startswith(f"{path}.") for key in others)
        found += [f"{path}.*"] if whole else below
        found += [path] if path in keys else []
    return found if len(found) <= 6 else []


def _is_last(graph: Graph, tensor: Tensor) -> bool:
    """Whether the tensor is of the layer that computes the first output."""
    node = graph.nodes[next(iter(graph.outputs.values()))]
    while not node.params and node.inputs:
        node = graph.nodes[node.inputs[0]]
    return node.id == tensor.node.id


def _inflation(graph: Graph, pairs: Sequence[tuple[Tensor, tuple[int, ...]]]) -> str:
    """The help for a file with fewer axes: `compile` has the options, other commands take the file that it writes."""
    filters = [pair for pair in pairs if _only_channels_differ(graph, *pair)]
    rest = [pair for pair in pairs if new_axes(*pair) is None and pair not in filters]
    number = len(pairs) - len(rest)
    parts = [f"`--inflate mean` or `--inflate centre` inflates {number:,} of these filters"] if number else []
    if filters:
        parts.append(f"`--adapt-input` adapts `{filters[0][0].key}` to the channels of the input")
    if rest:
        words = dict.fromkeys(word for tensor, shape in rest for word in _differences(tensor, shape))
        others = f"differ also in the {listed(list(words))}" if words else "differ in other ways"
        subject = "the others" if number else "these tensors"
        repair = f"`{_reinit(rest)}` initialises them" if _reinit(rest) else "`--reinit` initialises them"
        parts.append(f"{subject} {others}: {repair}")
    return (
        f"the file is for inputs with fewer axes. With `archdsl compile`: {'; '.join(parts)}; `--to weights` writes "
        "the result for other commands (explain E0603)"
    )


def _only_channels_differ(graph: Graph, tensor: Tensor, shape: tuple[int, ...]) -> bool:
    """Whether `--adapt-input` makes filters of this shape fit, apart from axes that they lack."""
    return adaptable(graph, tensor, shape) and _differences(tensor, shape) == ["input channels"]


def _reinit(pairs: Sequence[tuple[Tensor, tuple[int, ...]]]) -> str:
    """The options that initialise these tensors; empty if they are of many nodes."""
    paths = dict.fromkeys(tensor.node.path for tensor, _ in pairs)
    return " ".join(f"--reinit '{path}.*'" for path in paths) if len(paths) <= 3 else ""


def _more_axes(tensor: Tensor, shape: tuple[int, ...], sign: int = 1) -> bool:
    """Whether a filter of `shape` is for inputs with more axes than the tensor's (`sign` -1: with fewer)."""
    want, axes = tensor.param.shape, axes_of(tensor.node.in_shapes[0])
    return axes > 0 and 0 < len(want) - axes < min(len(want), len(shape)) and (len(shape) - len(want)) * sign > 0


def _differences(tensor: Tensor, shape: tuple[int, ...]) -> list[str]:
    """What differs: the outputs, the input channels, the window. Axes that `shape` lacks do not count."""
    want, axes = tensor.param.shape, axes_of(tensor.node.in_shapes[0])
    start = len(want) - axes if isinstance(tensor.node.op, Conv | Deconv) and len(want) > 1 else len(want)
    names = ["input channels", "outputs"] if isinstance(tensor.node.op, Deconv) else ["outputs", "input channels"]
    heads = ["outputs"] if len(want) == 1 else names
    words = [name for name, new, old in zip(heads, want[:start], shape, strict=False) if new != old]
    least = min(len(want), len(shape)) - start
    return words + ["window"] * (least > 0 and want[len(want) - least :] != shape[len(shape) - least :])


def _shape(shape: tuple[int, ...], dtype: str = "float32") -> str:
    return (format_shape(shape) or "scalar") + ("" if dtype == "float32" else f" ({dtype})")


def _note(message: str) -> Diagnostic:
    return Diagnostic("N0601", message, severity="note")


def _with_warnings(
    notes: tuple[Diagnostic, ...], tensors: Iterable[Tensor], entries: Mapping[str, TensorEntry]
) -> tuple[Diagnostic, ...]:
    return (*notes, *(note for tensor in tensors for note in _warnings(tensor, entries[tensor.key])))


def _warnings(tensor: Tensor, entry: TensorEntry) -> list[Diagnostic]:
    """W0606 if the tensor has values that no training produces.

    A sum that is finite and not 0 excludes them for most tensors; otherwise the minimum and the maximum decide. Neither
    allocates memory.
    """
    if entry.dtype != "float32" or not entry.nbytes:
        return []
    values, param, why = entry.make(), tensor.param, ""
    with np.errstate(invalid="ignore", over="ignore"):
        plain = param.name != "running_var" and param.init.how != "data"
        if plain and (total := float(values.sum())) and np.isfinite(total):
            return []
        least, most = float(values.min()), float(values.max())
    if not (np.isfinite(least) and np.isfinite(most)):
        why = "contains infinities or NaN"
    elif param.name == "running_var" and least <= 0:
        why = f"contains a variance of {least:g}"
    elif param.init.how in ("kaiming", "uniform") and least == most == 0:
        why = "is all zeros"
    elif param.init.how == "data" and not np.array_equal(values, initial_entry(tensor.key, param, 0).make()):
        why = "differs from the values in the spec"
    return [Diagnostic("W0606", f"`{tensor.key}` {why}", severity="warning")] if why else []
