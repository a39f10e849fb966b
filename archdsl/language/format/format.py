"""Formats a spec: short strings, one layout, comments kept.

The order of keys, comments, flow or block style (if flow fits), single blank lines, and anchors with their nodes stay
as written.
"""

from __future__ import annotations

from archdsl.axes import KINDS
from archdsl.diagnostics import ArchError, Source
from archdsl.language.format.longform import head_of, long_defaults, long_form, meaning, node_meaning, one_line
from archdsl.language.format.shortform import short_defaults, short_form
from archdsl.language.format.visit import Path, Walk
from archdsl.language.format.yaml_reader import read_layout
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf, is_alias, plain_safe, write
from archdsl.ops.base import Op


def format_source(source: Source, shorten: bool = True) -> str:
    """Return the canonical text. Without `shorten`, long mappings stay long.

    Raises the errors of `source.parse`, and E0202 if the spec is not a mapping. Nothing else is checked here.
    """
    draft = read_layout(source)
    Walk(_Shorten(_merged(draft.root), shorten)).document(draft.root)
    head = "".join(f"{line}\n" for line in draft.head)
    return head + write(draft.root)


def same_meaning(before: Source, after: Source) -> bool:
    """Return whether two texts have the same meaning in every section; nodes are compared in their long form."""
    roots = [read_layout(source).root for source in (before, after)]
    for root in roots:
        Walk(_Lengthen()).document(root)
    a, b = map(meaning, roots)
    return bool(a == b) and _anchors(roots[0]) == _anchors(roots[1])


def _anchors(layout: YamlLayout) -> list[str]:
    own = [f"&{layout.anchor}"] if layout.anchor else []
    if isinstance(layout, YamlLeaf):
        return [*own, layout.text] if is_alias(layout) else own
    return [*own, *(name for e in layout.entries for name in _anchors(e.value))]


def _merged(root: YamlGroup) -> frozenset[Path]:
    """The paths at which both the spec and a variant have a mapping: they merge by key, so they must stay long."""
    variants = root.get("variants")
    paths: set[Path] = set()
    for variant in variants.entries if isinstance(variants, YamlGroup) else ():
        stack: list[tuple[Path, YamlLayout, YamlLayout | None]] = [((), variant.value, root)]
        while stack:
            path, over, base = stack.pop()
            if isinstance(over, YamlGroup) and over.mapping and isinstance(base, YamlGroup) and base.mapping:
                paths.add(path)
                stack += [((*path, e.key.text), e.value, base.get(e.key.text)) for e in over.entries if e.key]
    return frozenset(paths)


def _base_path(path: Path) -> Path:
    """The path in the spec with which a path in a variant merges."""
    return path[2:] if path[:1] == ("variants",) else path


class _Shorten:
    """Turns long nodes into short strings, and makes short strings canonical."""

    def __init__(self, merged: frozenset[Path], shorten: bool) -> None:
        self.merged, self.shorten = merged, shorten

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            layout.text = _canonical(layout.text)
            return layout
        keep = not self.shorten or _base_path(path) in self.merged
        text = None if keep else short_form(layout)
        if text is not None:
            return YamlLeaf(text)
        if layout.flow and head_of(layout) != "op" and _needs_quotes(layout):
            layout.flow = False
        if path[-1] == "-" and not layout.mapping and len(layout.entries) == 1:
            layout.flow = False
        return layout

    def defaults(self, layout: YamlLayout, op: type[Op], path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            if not layout.verbatim and not layout.anchor:
                layout.text = _canonical_defaults(layout.text, op)
            return layout
        keep = not self.shorten or _base_path(path) in self.merged
        text = None if keep else short_defaults(layout, op)
        return layout if text is None else YamlLeaf(text)

    def input(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf) or layout.commented or layout.anchored:
            return layout
        if layout.mapping:
            for entry in layout.entries:
                entry.value = self.input(entry.value, path)
            return layout
        sizes = [e.value.text for e in layout.entries if isinstance(e.value, YamlLeaf) and e.value.text.isdigit()]
        if not self.shorten or len(sizes) != len(layout.entries) or not 1 <= len(sizes) <= len(KINDS):
            return layout
        return YamlLeaf("x".join(sizes), verbatim=not sizes[1:])


def _canonical(text: str) -> str:
    try:
        return short_form(long_form(text)) or one_line(text)
    except ArchError:
        return text


def _canonical_defaults(text: str, op: type[Op]) -> str:
    try:
        return short_defaults(long_defaults(text, op), op, fields=True) or one_line(text)
    except ArchError:
        return text


def _needs_quotes(group: YamlGroup) -> bool:
    """Whether a node in this flow collection needs quotes that block style does not."""
    for entry in group.entries:
        value = entry.value
        if isinstance(value, YamlGroup):
            if value.flow and head_of(value) != "op" and _needs_quotes(value):
                return True
        elif not value.verbatim and not plain_safe(value.text, flow=True) and plain_safe(value.text, flow=False):
            return True
    return False


class _Lengthen:
    """Replaces everything that has a short form by its long form."""

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout:
        try:
            return long_form(layout.text) if isinstance(layout, YamlLeaf) else layout
        except ArchError:
            return layout

    def defaults(self, layout: YamlLayout, op: type[Op], path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            try:
                layout = long_defaults(layout.text, op)
            except ArchError:
                return layout
        fields = node_meaning(layout)
        return YamlLeaf(repr({key: fields[key] for key in sorted(fields)}))

    def input(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            return YamlLeaf(repr(layout.text.split("x")))
        if layout.mapping:
            for entry in layout.entries:
                entry.value = self.input(entry.value, path)
            return layout
        return YamlLeaf(
            repr([e.value.text if isinstance(e.value, YamlLeaf) else meaning(e.value) for e in layout.entries])
        )
