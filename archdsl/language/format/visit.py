"""Visits the nodes, defaults and inputs in the layout of a spec, so that they can be rewritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from archdsl.language.format.longform import head_of
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf
from archdsl.language.keys import SHORTCUTS
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op

Path: TypeAlias = tuple[str, ...]
"""The keys from the root to a value; "-" is an item of a list."""

_CHILDREN = frozenset(("do", "residual", "shortcut", "inception", "branches", "dense", "then"))
"""The keys of a composite that hold nodes."""


class YamlChange(Protocol):
    """Rewrites each part. `node` is called for the children of a composite before the composite itself."""

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout: ...

    def defaults(self, layout: YamlLayout, op: type[Op], path: Path) -> YamlLayout: ...

    def input(self, layout: YamlLayout, path: Path) -> YamlLayout: ...


@dataclass(frozen=True, slots=True)
class Walk:
    """Applies a change to a whole spec, in place."""

    change: YamlChange

    def document(self, root: YamlGroup, path: Path = ()) -> None:
        for entry in root.entries:
            name = entry.key.text if entry.key else ""
            below = (*path, name)
            if name == "net":
                entry.value = self.node(entry.value, below)
            elif name == "input":
                entry.value = self.change.input(entry.value, below)
            elif isinstance(entry.value, YamlGroup) and entry.value.mapping:
                self.section(name, entry.value, below)

    def section(self, name: str, group: YamlGroup, path: Path) -> None:
        for entry in group.entries:
            key = entry.key.text if entry.key else ""
            below = (*path, key)
            if name == "blocks":
                entry.value = self.node(entry.value, below)
            elif name == "defaults" and key in OPS_BY_NAME:
                entry.value = self.change.defaults(entry.value, OPS_BY_NAME[key], below)
            elif name == "aux" and isinstance(entry.value, YamlGroup):
                for part in entry.value.entries:
                    if part.key and part.key.text == "do":
                        part.value = self.node(part.value, (*below, "do"))
            elif name == "variants" and isinstance(entry.value, YamlGroup):
                self.document(entry.value, below)

    def node(self, layout: YamlLayout, path: Path) -> YamlLayout:
        if isinstance(layout, YamlLeaf):
            word = path[-1] == "shortcut" and layout.text in SHORTCUTS
            return layout if layout.verbatim or layout.anchor or word else self.change.node(layout, path)
        if layout.anchor:  # an alias may repeat it: leave it unchanged
            return layout
        head = head_of(layout)
        for entry in layout.entries:
            key = entry.key.text if entry.key else "-"
            if head is None or key in _CHILDREN:
                entry.value = self.node(entry.value, (*path, key))
        return self.change.node(layout, path)
