"""Writes a spec in its long form: every short string as a mapping, with blocks and repeats, base and variant merged."""

from __future__ import annotations

from archdsl.language.format.longform import head_of, long_defaults, long_form, ordered
from archdsl.language.format.shortform import short_form
from archdsl.language.format.visit import Path, Walk
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf
from archdsl.ops.base import Op
from archdsl.source import Map, Scalar, Seq, Tree
from archdsl.source.limits import MAX_DEPTH

_MERGED = ("extends", "variants")
"""Keys that are removed from a merged spec: its variants would merge into long nodes key by key."""


def long_layout(tree: Map) -> YamlGroup:
    """Return the long form of a merged spec without errors."""
    root = layout_of(tree)
    assert isinstance(root, YamlGroup)
    root.flow = False
    root.entries = [e for e in root.entries if e.key is not None and e.key.text not in _MERGED]
    Walk(_Long()).document(root)
    fit(root)
    return root


def fit(root: YamlGroup) -> None:
    """Shorten the nodes that would be nested deeper than the reader allows, such as one with lists as fields."""
    Walk(_Fit()).document(root)


def rename(root: YamlGroup, name: str) -> None:
    """Set the name of the network, as the first key after the language version."""
    kept = [e for e in root.entries if e.key is None or e.key.text != "name"]
    at = next((n + 1 for n, e in enumerate(kept) if e.key and e.key.text == "archdsl"), 0)
    root.entries = [*kept[:at], YamlEntry(YamlLeaf(name), YamlLeaf("name")), *kept[at:]]


def layout_of(tree: Tree) -> YamlLayout:
    """Return a located tree as a layout, with aliases replaced by their values."""
    if isinstance(tree, Scalar):
        return _leaf(tree)
    if isinstance(tree, Seq):
        return YamlGroup([YamlEntry(layout_of(item)) for item in tree.items], mapping=False, flow=tree.flow)
    return YamlGroup(
        [YamlEntry(layout_of(e.value), YamlLeaf(e.key.text)) for e in tree.entries.values()], flow=tree.flow
    )


def _leaf(scalar: Scalar) -> YamlLeaf:
    text = scalar.text
    if not isinstance(scalar.value, str):
        return YamlLeaf("null" if scalar.value is None else text, verbatim=True)
    lines = text.split("\n")
    if (
        len(lines) > 2
        and not lines[-1]
        and all(line == line.strip() and line.isprintable() for line in lines)
        and lines[0]
    ):
        return YamlLeaf("|", lines=tuple(lines[:-1]))
    return YamlLeaf(text)


class _Long:
    """Turns short strings into long mappings, and puts sequences and composites in block style."""

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            return ordered(long_form(layout.text))
        if head_of(layout) not in ("op", "call", "dense"):
            layout.flow = False
        return layout

    def defaults(self, layout: YamlLayout, op: type[Op], path: Path) -> YamlLayout:
        return long_defaults(layout.text, op) if isinstance(layout, YamlLeaf) else layout

    def input(self, layout: YamlLayout, path: Path) -> YamlLayout:
        return layout


class _Fit:
    """Turns a long node into a short string where it would be nested too deeply."""

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf) or head_of(layout) not in ("op", "call", "dense"):
            return layout
        text = short_form(layout) if len(path) + _height(layout) > MAX_DEPTH else None
        return layout if text is None else YamlLeaf(text)

    def defaults(self, layout: YamlLayout, op: type[Op], path: Path) -> YamlLayout:
        return layout

    def input(self, layout: YamlLayout, path: Path) -> YamlLayout:
        return layout


def _height(layout: YamlLayout) -> int:
    """The number of levels of lists and mappings."""
    if isinstance(layout, YamlLeaf):
        return 0
    return 1 + max((_height(entry.value) for entry in layout.entries), default=0)
