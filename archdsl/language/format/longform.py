"""Turns short strings into the layout of their long form, and compares the meaning of layouts."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from archdsl.diagnostics import ArchError, Source, Span
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf, listing
from archdsl.language.keys import COMMON_KEYS, HEADS
from archdsl.language.shorthand import desugar, desugar_defaults
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source import Map, Scalar, Seq, Tree, plain_value
from archdsl.source.brackets import depths, outside

Meaning: TypeAlias = Any
"""Dicts, tuples and scalars that are equal if two layouts have the same meaning."""

_NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$", re.ASCII)


def scalar_of(text: str) -> Scalar:
    """Return a text as a scalar of a source of its own."""
    return Scalar(text, text, Span(Source("<node>", text), 0, len(text)), True, 0)


def head_of(group: YamlGroup) -> str | None:
    """Return the head word of a mapping; None for a sequence of named nodes or a list."""
    return next((head for head in HEADS if head in group.keys), None) if group.mapping else None


def split_commas(text: str) -> list[str]:
    """Return the parts between the commas outside of brackets, without spaces around them."""
    ends = [*outside(text, ","), len(text)]
    return [text[begin:end].strip() for begin, end in zip([0, *(at + 1 for at in ends)], ends, strict=False)]


def wrapped(text: str, brackets: str) -> bool:
    """Return whether the first character is a bracket that the last character closes."""
    if len(text) < 2 or text[0] != brackets[0] or text[-1] != brackets[1]:
        return False
    return next((at for at, _, depth in depths(text) if not depth), None) == len(text) - 1


def one_line(text: str) -> str:
    """Return the text with single spaces and no line breaks."""
    return " ".join(text.split())


def call_text(text: str) -> str:
    """Return a call with one space after each comma: `block(128, 2 if first else 1)`."""
    text = one_line(text)
    name, bracket, rest = text.partition("(")
    if not bracket or not wrapped(bracket + rest, "()"):
        return text
    inner = rest[:-1].strip()
    return f"{name.strip()}({', '.join(split_commas(inner))})" if inner else name.strip()


# --- short to long -------------------------------------------------------------------------------------------


def long_form(text: str) -> YamlGroup:
    """Return the long mapping of a short string, keys in order of the words. Raises E0301, E0302, E0309, E0310."""
    return _node(desugar(scalar_of(one_line(text))))


def ordered(group: YamlGroup) -> YamlGroup:
    """Sort the keys of a long form and return it: head, fields in the order of the op, norm, act, then common keys."""
    head = head_of(group)
    body = group.get("dense")
    if isinstance(body, YamlGroup) and body.mapping:
        ordered(body)
    op = group.get("op")
    fields = [*OPS_BY_NAME[op.text].model_fields] if isinstance(op, YamlLeaf) and op.text in OPS_BY_NAME else []
    order = {name: n for n, name in enumerate([str(head), *fields, "norm", "act", *COMMON_KEYS])}
    group.entries.sort(key=lambda e: order.get(e.key.text if e.key else "", len(order)))
    return group


def long_defaults(text: str, op: type[Op]) -> YamlGroup:
    """Return the long form of defaults: `bn relu` as `{norm: bn, act: relu}`."""
    return _node(desugar_defaults(scalar_of(one_line(text)), op))


def _node(tree: Map) -> YamlGroup:
    group = YamlGroup(flow=True)
    for key, entry in tree.entries.items():
        group.entries.append(YamlEntry(_part(key, entry.value), YamlLeaf(key)))
    return group


def _part(key: str, tree: Tree) -> YamlLayout:
    if isinstance(tree, Seq):
        items = [_part(key, item) for item in tree.items]
        return items[0] if key == "from" and len(items) == 1 else listing(items, flow=True)
    assert isinstance(tree, Scalar)
    if key == "dense":
        return long_form(tree.text)
    if key in ("op", "as", "from"):
        return YamlLeaf(tree.text)
    if key == "call":
        return YamlLeaf(call_text(tree.text))
    if tree.value is None:
        return YamlLeaf("none")
    if isinstance(tree.value, str):
        return value_of(tree.value)
    return YamlLeaf(str(tree.value).lower() if isinstance(tree.value, bool) else str(tree.value), verbatim=True)


def value_of(text: str) -> YamlLayout:
    """Return the text of a field as a number, a list, or an expression, which stays text."""
    text = one_line(text)
    while " " in text and wrapped(text, "()"):  # without a space, `(3.0)` and `3.0` differ
        text = text[1:-1].strip()
    if text in ("true", "false") or _NUMBER.match(text):
        return YamlLeaf(text, verbatim=True)
    if wrapped(text, "[]") and "" not in (items := split_commas(text[1:-1])):
        return listing([value_of(item) for item in items], flow=True)
    return YamlLeaf(text)


# --- meaning -------------------------------------------------------------------------------------------------


def meaning(layout: YamlLayout) -> Meaning:
    """Return the meaning of a layout of any section; short strings must be in their long form."""
    if isinstance(layout, YamlLeaf):
        return _typed(layout)
    if not layout.mapping:
        return tuple(meaning(e.value) for e in layout.entries)
    if head_of(layout) in ("op", "call", "dense"):
        return node_meaning(layout)
    return {e.key.text: meaning(e.value) for e in layout.entries if e.key is not None}


def _typed(leaf: YamlLeaf) -> Meaning:
    if leaf.lines:
        return (leaf.text, leaf.lines)
    if not leaf.verbatim:
        return leaf.text
    try:
        value = plain_value(leaf.text) if leaf.text[:1] != "*" else leaf.text
    except ArchError:
        value = leaf.text
    return type(value).__name__, value  # 1, 1.0 and True are equal in Python


def node_meaning(group: YamlGroup) -> Meaning:
    """Return the meaning of a long node: `"0.5"` is a number, spaces are ignored."""
    return {e.key.text: _field(e.key.text, e.value) for e in group.entries if e.key is not None}


def _field(key: str, layout: YamlLayout) -> Meaning:
    if key == "dense":
        short = isinstance(layout, YamlLeaf) and not layout.verbatim
        return meaning(long_form(layout.text) if short and isinstance(layout, YamlLeaf) else layout)
    if isinstance(layout, YamlLeaf) and not layout.verbatim:
        if key == "call":
            return call_text(layout.text)
        layout = value_of(layout.text) if key not in ("as", "from", "doc", "label", "op") else layout
    if key == "from":
        items = layout.entries if isinstance(layout, YamlGroup) else [YamlEntry(layout)]
        return tuple(meaning(e.value) for e in items)
    if isinstance(layout, YamlGroup):
        if layout.mapping:
            return meaning(layout)
        return tuple(_field("", e.value) for e in layout.entries)
    value = meaning(layout)
    if key in ("norm", "act") and value == ("NoneType", None):
        return "none"
    return value
