"""How to change a field of a node: on its own line, or by an override if the text of the node is in a base."""

from __future__ import annotations

import re
from collections.abc import Sequence

from archdsl.axes import listed
from archdsl.diagnostics import Span
from archdsl.language.document import Document
from archdsl.language.keys import HEADS
from archdsl.source import Map, Scalar, Seq, Tree

_NUMBERS = re.compile(r"\d+(x\d+)+|\[\s*\d+(\s*,\s*\d+)*\s*\]", re.ASCII)


def in_base(document: Document, place: Span, cause: Span) -> bool:
    """Return whether a text is in a base of the override that contains `cause`: another file, or not in its variant."""
    if place.source is not document.source:
        return place.source is not cause.source
    variants = document.tree.get("variants")
    return variants is not None and _contains(variants.span, cause) and not _contains(variants.span, place)


def change(
    document: Document, place: Span, cause: Span, name: str, values: Sequence[tuple[int, ...]], otherwise: str
) -> str:
    """Return the help that replaces the field `name` at `place` by one of `values`, which fit what is at `cause`.

    `otherwise` says what to write if there are no values, or if the field is not written as numbers.
    """
    numbers = _NUMBERS.fullmatch(place.text) is not None
    texts = [f"`{_like(place.text, value)}`" for value in values] if numbers else []
    new = listed(texts, "or") if texts else otherwise
    if not in_base(document, place, cause):
        return f"write {new}"
    keys = _keys_to(document.tree, place) or []
    if keys[-1:] == [name]:
        keys.pop()
    end = next((n for n, key in enumerate(keys) if isinstance(key, int) or key in HEADS), len(keys))
    names = [str(key) for key in keys[:end]]
    if names[:1] == ["blocks"]:
        block = re.match(r"\w*", names[1]) if names[1:] else None
        what = f"the block `{block[0] if block else ''}` again under `blocks`"
        return f"write {what}, with its whole body: {new} in place of `{place.text}`"
    if end < len(keys) or not names:
        node = ".".join(names[1:])
        what = f"the node `{node}`" if node else "`net`"
        return f"write {what} again in the override, as a whole: {new} in place of `{place.text}`"
    if not values:
        return f"override `{name}` of `{'.'.join(names[1:])}` under `{names[0]}`: {otherwise}"
    return "override it: " + listed([f"`{_nested([*names, name], value)}`" for value in values], "or")


def _like(written: str, value: tuple[int, ...]) -> str:
    """The value in the notation of the text: `1x1x7` or `[1, 1, 7]`."""
    return str(list(value)) if written.startswith("[") else "x".join(map(str, value))


def _nested(names: Sequence[str], value: tuple[int, ...]) -> str:
    """`net: {a: {kernel: [1, 1, 7]}}`"""
    text = str(value[0] if len(value) == 1 else list(value))
    return ": {".join(names) + f": {text}" + "}" * (len(names) - 1)


def _keys_to(tree: Tree, place: Span) -> list[str | int] | None:
    """The keys and numbers of list items that lead to a text; a short form of several nodes adds its head word."""
    if isinstance(tree, Scalar):
        head = re.match(r"dense(?= )|\w+\(", tree.text)
        return (["call" if head[0] != "dense" else "dense"] if head else []) if _contains(tree.span, place) else None
    items = (
        ((key, entry.value) for key, entry in tree.entries.items()) if isinstance(tree, Map) else enumerate(tree.items)
    )
    for key, value in items:
        below = _keys_to(value, place)
        if below is not None:
            return [key, *below]
    return [] if isinstance(tree, Seq) and _contains(tree.span, place) else None


def _contains(outer: Span, inner: Span) -> bool:
    return outer.source is inner.source and outer.start <= inner.start and inner.end <= outer.end
