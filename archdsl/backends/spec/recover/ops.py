"""Writes ops as layouts of a spec: their fields, which are holes, their norm and activation, and what they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from archdsl.backends.spec.fields import value_layout
from archdsl.backends.spec.recover.fields import MISSING, Defaults, Hole, expression, holes, layout, written
from archdsl.backends.spec.recover.items import OpItem
from archdsl.graph import Graph, Node
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf, listing, mapping
from archdsl.ops import Again, Conv

Put: TypeAlias = Callable[[Hole], tuple[str | None, Any]]
"""Receives each hole in order, and returns its text and its value. The text is None for a literal."""


class Inexpressible(Exception):
    """The module cannot be written in this form."""


@dataclass(slots=True, eq=False)
class Names:
    """The names of the values in a mapping; `outer` are those around it."""

    outer: Names | None
    values: dict[int, str] = field(default_factory=dict)

    def reference(self, value: int) -> str:
        """Return the name of a value. Raises `Inexpressible` if it has none here."""
        level, at_names, hidden = 0, self, set[str]()
        while True:
            level += 1
            name = at_names.values.get(value)
            if name is not None:
                return "." * level + name if name.partition(".")[0] in hidden else name
            hidden |= {n.partition(".")[0] for n in at_names.values.values()}
            if at_names.outer is None:
                raise Inexpressible
            at_names = at_names.outer


@dataclass(slots=True, eq=False)
class OpWriter:
    """Writes ops; `put` receives the holes in order."""

    graph: Graph
    put: Put
    defaults: Defaults
    seen: Counter[tuple[str, str, Any]] = field(default_factory=Counter, kw_only=True)
    """How often each op has each literal value in a field."""

    def act(self, node: Node | None, op: str) -> YamlLayout:
        """An activation: its name is a hole if it has no fields."""
        fields = {} if node is None else node.op.explicit()
        if node is not None and fields:
            return self._part(node)
        name = "none" if node is None else node.op.name
        default = self.defaults.get((op, "act"), MISSING)
        text, name = self.put(Hole("act", name, default, 0))
        if text is None:
            self.seen[(op, "act", name)] += 1
            return YamlLeaf(name)
        return YamlLeaf(text)

    def _part(self, node: Node) -> YamlLayout:
        """A norm or activation with its fields, those of `defaults` left out."""
        out = mapping({"op": YamlLeaf(node.op.name)}, flow=True)
        for hole in holes(node, node.op.name, self.defaults, False):
            self.seen[(node.op.name, hole.field, hole.value)] += 1
            if hole.value != hole.default:
                out.put(hole.field, layout(hole.field, hole.value, node))
        return out if len(out.entries) > 1 else YamlLeaf(node.op.name)

    def op(self, item: OpItem, names: Names, cursor: int, path: str) -> YamlGroup:
        """Return a written op."""
        node, *rest = item.nodes
        norm = next((n for n in rest if n.op.role == "norm"), None)
        act = next((n for n in rest if n.op.role == "act"), None)
        name = written(node)
        family = "conv" if name in ("dwconv", "deconv") else name
        out = mapping({"op": YamlLeaf(name)}, flow=True)
        if node.shared_with:
            out = mapping({"op": YamlLeaf(Again.name), "node": YamlLeaf(self._again(node, path))}, flow=True)
            family = Again.name
        else:
            self._fields(out, node, name, norm)
        default_norm = self.defaults.get((family, "norm"), "none")
        norm_name = "none" if norm is None else norm.op.name
        self.seen[(family, "norm", norm_name)] += 1
        part = YamlLeaf("none") if norm is None else self._part(norm)
        norm_written = norm_name != default_norm or isinstance(part, YamlGroup)
        if norm_written:
            out.put("norm", part)
        if node.op.role != "act":
            act_layout = self.act(act, family)
            usual = self.defaults.get((family, "act"), "none")
            if norm_written and norm is None or not isinstance(act_layout, YamlLeaf) or act_layout.text != usual:
                out.put("act", act_layout)
        self._like(out, node, names)
        reads = item.reads[: len(item.reads) - node.op.measured]
        return self.reading(out, reads, names, cursor)

    def reading(self, out: YamlGroup, reads: Sequence[int], names: Names, cursor: int) -> YamlGroup:
        if [*reads] != [cursor]:
            refs = [YamlLeaf(names.reference(read)) for read in reads]
            out.put("from", refs[0] if len(refs) == 1 else listing(refs, flow=True))
        return out

    def _like(self, out: YamlGroup, node: Node, names: Names) -> None:
        for name in node.op.references if node.op.measured else ():
            out.put(name, YamlLeaf(names.reference(node.inputs[-1])))

    def _again(self, node: Node, path: str) -> str:
        inside = f"{path}." if path else ""
        if not node.shared_with.startswith(inside):
            raise Inexpressible
        return node.shared_with[len(inside) :]

    def _fields(self, out: YamlGroup, node: Node, name: str, norm: Node | None) -> None:
        for hole in holes(node, name, self.defaults, norm is not None):
            if not _simple(hole.value):
                if hole.value != hole.default:
                    out.put(hole.field, value_layout(hole.value))
                continue
            text, value = self.put(hole)
            if text is not None:
                out.put(hole.field, expression(text))
                continue
            if hole.field != "bias" or norm is None:
                of_conv = name in ("dwconv", "deconv") and hole.field in Conv.model_fields
                self.seen[("conv" if of_conv else name, hole.field, value)] += 1
            if value is not MISSING and (value != hole.default or type(value) is not type(hole.default)):
                out.put(hole.field, layout(hole.field, value, node))


def _simple(value: object) -> bool:
    """Whether a value can be an argument: words such as `pad=same` cannot."""
    return not isinstance(value, (tuple, str)) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value))
