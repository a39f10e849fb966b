"""Proposes the whole node to write instead of one whose window, strides or sides are for another number of axes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archdsl.axes import CHANNELS, KINDS, MOST, axes_of, kind_of
from archdsl.diagnostics import ArchError, Fix, replacing
from archdsl.graph import Node
from archdsl.language.format.longform import long_form, split_commas, wrapped
from archdsl.language.format.shortform import short_form
from archdsl.language.format.yaml_writer import YamlLeaf, listing
from archdsl.language.syntax import FieldValue, OpSyntax
from archdsl.ops.base import Op, OpError
from archdsl.ops.reshape import Input
from archdsl.shapes import Inexpressible, Shape, concrete, format_shape

Texts = Mapping[str, str | list[str]]
"""New values of fields, as text: one for all axes, or one for each."""


def repaired(syntax: OpSyntax, op: Op, shape: Shape, as_input: str) -> str:
    """Return `write ...` for an op whose fields do not fit the axes of its input; empty if nothing is valid.

    Each proposal is an op that has an output for this input. `as_input` is the help of `likely_input`.
    """
    axes = axes_of(shape)
    items = {name: _items(syntax.fields.get(name)) for name in op.misfits(axes)}
    window = items.get("kernel", [])
    every: Texts = {name: texts[0] for name, texts in items.items() if len(set(texts)) == 1}
    lines: list[str] = []
    if len(every) == len(items):
        lines = _lines(syntax, op, shape, every, window)
    elif len(window) > axes:  # `1x3x3` on an image, `15x1` on a signal
        lines = _without_ones(syntax, op, shape, items, every)
    if as_input:
        return "write " + ", or ".join([as_input, *(f"{line} for {kind_of(shape).noun}" for line in lines[:1])])
    repeat = lines and window and not window[1:] and syntax.repeat is None and lines[0].startswith(f"`{window[0]}x")
    more = f"; `{window[0]} * {lines[0][1:]} repeats the node" if repeat else ""
    return "write " + ", or ".join(lines) + more if lines else ""


def _lines(syntax: OpSyntax, op: Op, shape: Shape, every: Texts, window: Sequence[str]) -> list[str]:
    """The node with one number for all axes, and before it the node with a window of that number on each axis."""
    if not window:
        return _valid(syntax, op, shape, every)
    axes = axes_of(shape)
    lines = _valid(syntax, op, shape, {**every, "kernel": [window[0]] * axes})
    if lines:
        return lines + [f"{line} for any number of axes" for line in _valid(syntax, op, shape, every)]
    return _valid(syntax, op, shape, {**every, "kernel": ["1"] * (axes - len(window)) + [*window]})


def _without_ones(syntax: OpSyntax, op: Op, shape: Shape, items: Mapping[str, list[str]], every: Texts) -> list[str]:
    """The node without the first or the last axes, if the window and the strides are 1 there."""
    axes, window = axes_of(shape), items["kernel"]
    uneven = {name: texts for name, texts in items.items() if name == "kernel" or name not in every}
    per_axis = {name: texts for name, texts in uneven.items() if name in op.per_axis and len(texts) == len(window)}
    more = len(window) - axes
    ends = [(slice(more, None), slice(0, more)), (slice(0, axes), slice(axes, None))]
    kept = [kept for kept, cut in ends if {text for texts in per_axis.values() for text in texts[cut]} == {"1"}]
    if len(kept) != 1 or {*per_axis, *every} != {*items}:
        return []
    shorter: Texts = {name: texts[kept[0]] for name, texts in per_axis.items()}
    single = {name: texts[0] for name, texts in shorter.items() if len(texts) == 1 and name != "kernel"}
    return _valid(syntax, op, shape, {**every, **shorter, **single})


def _items(value: FieldValue | None) -> list[str]:
    """The texts of the items of a list; empty for a default or an argument."""
    if value is None or value.items:
        return [item.span.text for item in value.items] if value is not None else []
    text = value.span.text
    return split_commas(text[1:-1]) if wrapped(text, "[]") else []


def _valid(syntax: OpSyntax, op: Op, shape: Shape, texts: Texts) -> list[str]:
    """The node with other values of fields, in backticks; nothing if the op has no output with them."""
    values = {}
    for name, text in texts.items():
        count = axes_of(shape) * (2 if name in op.per_side else 1)
        listed = isinstance(text, list) and all(map(str.isdigit, text))
        values[name] = tuple(map(int, text)) if listed else getattr(op, name)[:1] * count
    if not _has_output(op, shape, values):
        return []
    text = _written(syntax, texts)
    return [f"`{text}`"] if text else []


def _has_output(op: Op, shape: Shape, values: Mapping[str, tuple[int, ...]]) -> bool:
    try:
        settled = op.model_copy(update=dict(values)).settle([shape])
        settled.infer([shape])
    except OpError:
        return False
    except Inexpressible:
        pass
    return True


def _written(syntax: OpSyntax, texts: Texts) -> str:
    """The short form of a node with other values of fields; of a node in the long form, these fields."""
    listed = {name: f"[{', '.join(text)}]" if isinstance(text, list) else text for name, text in texts.items()}
    text = syntax.span.text.strip("\"'")
    if re.match(r"\{|\w+:", text):
        return ", ".join(f"{name}: {value}" for name, value in listed.items())
    try:
        group = long_form(text)
    except ArchError:  # the text of the file is not that of the node: it has an anchor, or several lines
        return ""
    for entry in group.entries:
        new = texts.get(entry.key.text) if entry.key is not None else None
        if new is not None:
            leaves = [YamlLeaf(item, verbatim=item.isdigit()) for item in ([new] if isinstance(new, str) else new)]
            entry.value = leaves[0] if isinstance(new, str) else listing(leaves, flow=True)
    return short_form(group) or ""


def likely_input(op: Op, nodes: Sequence[Node], source: int) -> tuple[str, tuple[Fix, ...]]:
    """Return the input that an op's window is for, perhaps before nodes without one, and the fix that writes it.

    `input: 1x28x28` for 28x28; or without a batch of 1: `input: 3x224x224` for 1x3x224x224. Empty if none is likely.
    """
    origin, whole = _origin(nodes, source), concrete(_origin(nodes, source).shape)
    sizes = len(op.__dict__["kernel"]) if "kernel" in op.misfits(axes_of(nodes[source].shape)) else 0
    if not _is_plain(origin):
        return "", ()
    few = whole[0] in CHANNELS
    if sizes == axes_of(whole) + 1 <= MOST and not few:
        whole, why = (1, *whole), f" for {kind_of((1, *whole)).noun} with one channel"
    elif sizes == axes_of(whole) - 1 and whole[0] == 1 and whole[1] in CHANNELS:
        whole, why = whole[1:], ", without the batch"
    else:
        return "", ()
    if not _has_output(op, whole, {}):
        return "", ()
    return f"`{_declaration(origin, whole)}`{why}", (replacing(origin.origin.span, format_shape(whole, times="x")),)


def input_with_axes(op: Op, nodes: Sequence[Node], source: int, spread: int) -> str:
    """Return the help for an op that needs axes and reads an input that is a vector; empty if it reads another node.

    A vector of 5000 is a signal `1x5000`, if the op has no window of more sizes; for these there is only an example.
    `spread` is the number of axes that the spec asks for, or 0.
    """
    origin = _origin(nodes, source)
    if not isinstance(origin.op, Input) or axes_of(origin.shape):
        return ""
    axes = spread or next((n for n in range(1, MOST + 1) if not op.misfits(n)), 1)
    signal = (1, *concrete(origin.shape))
    if axes_of(signal) == axes and _is_plain(origin) and _has_output(op, signal, {}):
        return f"write the input with its axes: `{_declaration(origin, signal)}`"
    return f"write the input with its axes, e.g. `{origin.path}: {KINDS[axes].example}`"


def _origin(nodes: Sequence[Node], source: int) -> Node:
    """The node that a window reads, perhaps through nodes without a window."""
    while nodes[source].inputs and not nodes[source].op.per_axis:
        source = nodes[source].inputs[0]
    return nodes[source]


def _is_plain(origin: Node) -> bool:
    """Whether a node is an input whose sizes are written as numbers."""
    plain = re.fullmatch(r"\d+(x\d+)*|\[[\d, ]*\]", origin.origin.span.text)
    return isinstance(origin.op, Input) and plain is not None


def _declaration(origin: Node, shape: Shape) -> str:
    return f"{origin.path}: {format_shape(shape, times='x')}"
