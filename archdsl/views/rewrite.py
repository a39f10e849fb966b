"""A spec written another way, and held against what it was: expanded, flat, or formatted. What comes out means the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archdsl import spec as specs
from archdsl.diagnostics import Source, error
from archdsl.elaborate import elaborate
from archdsl.graph import Graph, Node
from archdsl.language.document import Document, InputDecl
from archdsl.language.expand import expand, layout_of, rename
from archdsl.language.fmt import format_source, same_meaning
from archdsl.language.writer import Entry, Group, Layout, Leaf, listing, mapping, write
from archdsl.ops import Flatten
from archdsl.shapes import concrete
from archdsl.source import Map, Scalar, Seq, Tree
from archdsl.spec import Spec
from archdsl.views.fields import value_layout
from archdsl.views.flat import Flat, flat

_KEPT = ("doc", "paper", "preprocess")
"""The sections that a flat spec takes over as they are."""


def long_text(spec: Spec, input: str | None = None, args: Mapping[str, Any] = {}) -> str:
    """The long form of a spec, its input and arguments overridden: blocks and repeats kept, variants merged in.

    Errors: all that is wrong with the spec.
    """
    document, graph = _network(spec, input, args)
    tree = _with_labels(_with_args(document.tree, args), document)
    text = expand(tree, document.name)
    _hold(graph, _read(text, document), exact=True)
    return text


def flat_text(spec: Spec, input: str | None = None, args: Mapping[str, Any] = {}) -> str:
    """A spec unrolled: no blocks, repeats, arguments or defaults, every inferred value filled in.

    Errors: all that is wrong with the spec; E0317 a list that cannot be unrolled.
    """
    document, graph = _network(spec, input, args)
    text = write(_flat_root(document, graph, flat(graph), bool(args)))
    _hold(graph, _read(text, document), exact=False)
    return text


def formatted(source: Source) -> str:
    """The canonical text of a spec: short strings, one layout, comments kept.

    Errors: all that is wrong with the spec or one of its variants. A text of another meaning is never returned.
    """
    before = _all_networks(source)
    for shorten in (True, False):
        text = format_source(source, shorten)
        after = Source(source.name, text, source.path)
        if same_meaning(source, after) and _all_networks(after) == before:
            return text
    raise error("E0318", "formatting would change what this spec means; it is left as it is",
                help="this is an error of archdsl: please report it with the file")  # fmt: skip


# --- networks ----------------------------------------------------------------------------------------------


def _network(spec: Spec, input: str | None, args: Mapping[str, Any]) -> tuple[Document, Graph]:
    document = specs.document_of(spec, input)
    return document, elaborate(document, args)


def _read(text: str, document: Document) -> Graph:
    """The graph of a text that stands where the document does."""
    source = Source(f"{document.name} (rewritten)", text, document.source.path)
    return elaborate(specs.document_of(specs.from_source(source)))


def _all_networks(source: Source) -> dict[str, list[object]]:
    """What the file's own network and each of its variants is."""
    own = specs.from_source(source)
    variants = own.tree.get("variants") if isinstance(own.tree, Map) else None
    names = [None, *variants.entries] if isinstance(variants, Map) else [None]
    out = {}
    for name in names:
        _, graph = _network(specs.from_source(source, name), None, {})
        out[name or ""] = [*map(_row, graph.nodes), _ends(graph)]
    return out


def _row(node: Node) -> tuple[object, ...]:
    return node.path, node.op, node.inputs, concrete(node.shape), node.training


def _ends(graph: Graph) -> tuple[object, ...]:
    return dict(graph.outputs), {name: (head.node, head.weight) for name, head in graph.aux.items()}, graph.sizes


def _hold(before: Graph, after: Graph, exact: bool) -> None:
    """Raises E0318 where the two differ. Unless `exact`, padding may be written out, and a flatten stand elsewhere."""
    row = _row if exact else _flat_row
    for a, b in zip(before.nodes, after.nodes, strict=False):
        if row(a) != row(b):
            raise error("E0318", f"the rewritten spec means something else: `{a.path}` became `{b.path}`",
                        a.origin.span, help="this is an error of archdsl: please report it with the file")  # fmt: skip
    if len(before.nodes) != len(after.nodes) or _ends(before) != _ends(after):
        raise error("E0318", "the rewritten spec means something else: its nodes or outputs are others",
                    help="this is an error of archdsl: please report it with the file")  # fmt: skip


def _flat_row(node: Node) -> tuple[object, ...]:
    path = "" if isinstance(node.op, Flatten) and node.implied else node.path
    tensors = [(p.name, p.shape, p.trained, p.init) for p in node.params]
    return path, node.op.kind, node.inputs, concrete(node.shape), node.training, tensors, node.window


# --- sections ----------------------------------------------------------------------------------------------


def _with_args(tree: Map, args: Mapping[str, Any]) -> Map:
    """The defaults of overridden arguments replaced; claims, which are for the defaults, left out."""
    written = tree.get("args")
    if not args or not isinstance(written, Map):
        return tree
    inner = dict(written.entries)
    for name, value in args.items():
        inner[name] = _overridden(inner[name], value)
    entries = {k: e for k, e in tree.entries.items() if k != "claims"}
    entries["args"] = type(entries["args"])(entries["args"].key, Map(inner, written.span, written.flow))
    return Map(entries, tree.span, tree.flow)
