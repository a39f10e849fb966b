"""What is under the cursor, as Markdown: a node with its shapes and costs, an op with its fields, a code."""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

from archdsl.analysis.receptive_field import ReceptiveField, receptive_fields
from archdsl.axes import in_short
from archdsl.diagnostics import ArchError, Span
from archdsl.editor.names import occurrence_at, references
from archdsl.editor.places import made_by, outputs, shapes
from archdsl.editor.snapshot import Snapshot
from archdsl.explain import page
from archdsl.graph import Node
from archdsl.language.expressions import show
from archdsl.language.schema.models import COMPOSITES, DocumentForm
from archdsl.language.schema.values import summary
from archdsl.network import Network
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.shapes import format_shape
from archdsl.source import Map, Seq, Tree

_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FACT = re.compile(r"\n(?=[A-Z]\w*:)")
_CODE = re.compile(r"[EWN]\d{4}")


class Hover(NamedTuple):
    """A text in Markdown about a span."""

    span: Span
    text: str


def hover(snapshot: Snapshot, offset: int) -> Hover | None:
    """Return what is known of the word, and of the node, at an offset; None if that is nothing."""
    word = word_at(snapshot, offset)
    node = _node_text(snapshot, offset)
    parts = [part for part in (node, _word_text(snapshot, word, offset) if word is not None else "") if part]
    if not parts:
        return None
    return Hover(word if word is not None else Span(snapshot.source, offset, offset), "\n\n---\n\n".join(parts))


def word_at(snapshot: Snapshot, offset: int) -> Span | None:
    """Return the span of the word at an offset."""
    start = snapshot.text.rfind("\n", 0, offset) + 1
    end = snapshot.text.find("\n", offset)
    for word in _WORD.finditer(snapshot.text, start, len(snapshot.text) if end < 0 else end):
        if word.start() <= offset <= word.end():
            return Span(snapshot.source, word.start(), word.end())
    return None


def _word_text(snapshot: Snapshot, span: Span, offset: int) -> str:
    """The code, the argument, the block, the op or the key that a word is."""
    word = span.text
    if _CODE.fullmatch(word):
        try:
            return page(word).text
        except ArchError:
            return ""
    path, _ = value_at(snapshot.tree, offset)
    here = occurrence_at(snapshot, offset)
    if here is not None and here.symbol.kind in ("argument", "parameter", "block"):
        defined = [one.span for one in references(snapshot, here.symbol) if one.defines]
        line = defined[0].source.line_text(defined[0].line).strip() if defined else ""
        return f"{here.symbol.kind} `{word}`" + (f"\n\n```yaml\n{line}\n```" if line else "")
    if word in OPS_BY_NAME and path[:1] and path[0] in ("net", "blocks", "aux", "defaults", "variants"):
        return op_text(OPS_BY_NAME[word])
    described = DocumentForm.model_fields.get(word) if path == (word,) else None
    if described is None and path[1:] and path[-1] == word:
        described = next((form.model_fields[word] for form in COMPOSITES.values() if word in form.model_fields), None)
    return f"`{word}`: {described.description}" if described is not None and described.description else ""


def op_text(op: type[Op]) -> str:
    """Return the documentation of an op: its first line, its shapes and costs, its fields and flags."""
    first, *rest = _FACT.split(summary(op))
    lines = [f"**{op.name}**: {first.strip()}", "", *("- " + " ".join(fact.split()) for fact in rest), ""]
    for name, field in op.model_fields.items():
        lines.append(f"- `{name}`: {field.description}")
    for flag, (name, value) in op.flags.items():
        lines.append(f"- `{flag}` is `{name}={show(value)}`")
    return "\n".join(lines)


def value_at(tree: Tree, offset: int) -> tuple[tuple[str, ...], Tree]:
    """Return the keys from the root to an offset (`-` in a list), and the value there; at a key, its value."""
    path: list[str] = []
    while True:
        entries: list[tuple[str, int, Tree]] = []
        if isinstance(tree, Map):
            entries = [(name, entry.key.span.start, entry.value) for name, entry in tree.entries.items()]
        elif isinstance(tree, Seq):
            entries = [("-", item.span.start, item) for item in tree.items]
        here = next((entry for entry in entries if entry[1] <= offset <= entry[2].span.end), None)
        if here is None or (path and offset < tree.span.start):
            return tuple(path), tree
        path.append(here[0])
        tree = here[2]


def _node_text(snapshot: Snapshot, offset: int) -> str:
    """The nodes that the value at an offset makes: shapes, parameters, MACs, receptive field."""
    _, value = value_at(snapshot.tree, offset)
    spans = []
    for start, end in outputs(snapshot.shown):
        here = snapshot.here(start, end)
        if here is not None and (here[0] <= offset <= here[1] or here[0] == value.span.start):
            spans.append((end - start, start, end))
    return describe(snapshot.shown, *min(spans)[1:]) if spans else ""


def describe(network: Network, start: int, end: int) -> str:
    """Return what a span of the network's text makes: the nodes of the first call in full, how many calls there are."""
    calls = [nodes for nodes in made_by(network, start, end).values() if all(node.known for node in nodes)]
    if not calls:
        return ""
    nodes = calls[0]
    fields = receptive_fields(network.graph)
    inside = {node.id for node in nodes}
    read = [network.graph.nodes[i] for i in dict.fromkeys(i for n in nodes for i in n.inputs) if i not in inside]
    ops = list(dict.fromkeys(node.op.name for node in nodes))
    lines = [
        f"**{_path(nodes, start)}** ({', '.join(ops[:8])}{', ...' if ops[8:] else ''})",
        f"- input {', '.join(_shape(node) for node in read[:4])}" + (", ..." if read[4:] else ""),
        f"- output {_shape(nodes[-1])}",
        f"- parameters {_parameters(nodes):,}, MACs {sum(node.macs for node in nodes):,}",
        f"- receptive field {_field(fields[nodes[-1].id])}",
    ]
    doc = next((scope.doc for node in nodes for scope in (node.scope, node.scope.parent) if scope and scope.doc), "")
    if doc:
        lines.insert(1, f"\n{doc}\n")
    if calls[1:]:
        total = sum(map(_parameters, calls))
        every = shapes(copy[-1] for copy in calls)
        lines.append(f"- built in {len(calls)} calls: output {every}; parameters {total:,} in total")
    return "\n".join(lines)


def _path(nodes: list[Node], start: int) -> str:
    """The name of what nodes are together: that of the op before its norm, or that of their block."""
    first = nodes[0]
    paths = [node.written_path.split(".") for node in nodes]
    same = itertools.takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    common = ".".join(parts[0] for parts in same)
    beside = first.origin.span.start == start and common == first.scope.path and first.scope.kind != "fused"
    return first.written_path if beside or not common else common


def _parameters(nodes: list[Node]) -> int:
    return sum(param.numel for node in nodes for param in node.params if param.trained)


def _shape(node: Node) -> str:
    """`64 x 56 x 56`, with the formulas of the sizes if they depend on the input."""
    shape, formulas = format_shape(node.shape), format_shape(node.shape, symbolic=True)
    return f"`{shape}`" + (f" = `{formulas}`" if formulas != shape else "")


def _field(field: ReceptiveField | None) -> str:
    return "the whole input" if field is None else f"{in_short(field)} pixels"
