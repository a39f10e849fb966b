"""The long form of a spec: every short string a mapping, blocks and repeats kept, base and variant merged in."""

from __future__ import annotations

from archdsl.language.format.longform import head_of, long_defaults, long_form, ordered
from archdsl.language.format.visit import Path, Walk
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf
from archdsl.ops.base import Op
from archdsl.source import Map, Scalar, Seq, Tree

_MERGED = ("extends", "variants")
"""What a merged spec no longer has: variants of long nodes would be laid into them key by key."""


def long_layout(tree: Map) -> YamlGroup:
    """The long form of a merged spec. The tree must be of a sound spec."""
    root = layout_of(tree)
    assert isinstance(root, YamlGroup)
    root.flow = False
    root.entries = [e for e in root.entries if e.key is not None and e.key.text not in _MERGED]
    Walk(_Long()).document(root)
    return root


def rename(root: YamlGroup, name: str) -> None:
    """Puts the network's name first, behind the language's version."""
    kept = [e for e in root.entries if e.key is None or e.key.text != "name"]
    at = next((n + 1 for n, e in enumerate(kept) if e.key and e.key.text == "archdsl"), 0)
    root.entries = [*kept[:at], YamlEntry(YamlLeaf(name), YamlLeaf("name")), *kept[at:]]


def layout_of(tree: Tree) -> YamlLayout:
    """A located tree as a layout; aliases written out."""
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
    """Makes every short string long; sequences and composites stand in block style."""

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
