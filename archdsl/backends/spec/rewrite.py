"""Rewrite a spec as expanded, flat or formatted text, and check that the new text describes the same network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from archdsl.backends.spec.fields import value_layout
from archdsl.backends.spec.flat import flat
from archdsl.diagnostics import ArchError, Diagnostic, Source
from archdsl.elaborate import elaborate
from archdsl.elaborate.spread import useless_preprocessing
from archdsl.graph import Graph, Node
from archdsl.language.document import Document
from archdsl.language.format.expand import fit, layout_of, long_layout, rename
from archdsl.language.format.format import format_source, same_meaning
from archdsl.language.format.yaml_writer import YamlGroup, YamlLayout, YamlLeaf, listing, mapping, write
from archdsl.language.keys import TOP_LEVEL
from archdsl.shapes import concrete
from archdsl.source import Map, Scalar, Seq
from archdsl.spec.open import Spec, document_of, from_source, open_spec

_KEPT = {"archdsl", "name", "family", "doc", "paper", "axes", "preprocess", "claims", "labels"}
"""The sections that a flat spec copies unchanged."""


@dataclass(frozen=True, slots=True)
class ExpandedSpec:
    """The text of a spec, and the `files` that it was read from.

    `notes`: a note for each auxiliary head that a flat text does not have, because it needs a larger input.
    """

    text: str
    files: tuple[str, ...]
    notes: tuple[Diagnostic, ...] = ()


class Unfaithful(RuntimeError):
    """The rewritten text would describe another network: a bug in archdsl. No text is returned."""


def expand(
    spec: str | Path,
    *,
    flat: bool = False,
    input: str | None = None,
    args: Mapping[str, object] | None = None,
) -> ExpandedSpec:
    """Return the long form of a SPEC, with its blocks and repeats, or `flat`: unrolled, with every inferred value.

    `input` and `args` override those of the spec. The text is a spec of the same network. Raises all errors of the
    spec.
    """
    opened = open_spec(spec)
    path = opened.source.path
    files = () if path is None else (str(path),)
    return expanded(*_network(opened, input, args or {}), args or {}, flat, files)


def expanded(
    document: Document, graph: Graph, args: Mapping[str, Any], flat: bool, files: tuple[str, ...]
) -> ExpandedSpec:
    """Return the long or flat form of a document that was opened with `args` and read from `files`."""
    if not flat:
        return ExpandedSpec(_long_text(document, graph, args), files)
    left_out = tuple(note for note in graph.notes if note.code == "N0424")
    return ExpandedSpec(_flat_text(document, graph, bool(args)), files, left_out)


def long_text(spec: Spec, input: str | None = None, args: Mapping[str, Any] = {}) -> str:
    """Return the long form of a spec, with `input` and `args` overridden: keeps blocks and repeats, merges the variant.

    Raises all errors of the spec.
    """
    return _long_text(*_network(spec, input, args), args)


def _long_text(document: Document, graph: Graph, args: Mapping[str, Any]) -> str:
    text = standalone_text(document, args)
    _check_same(graph, _read(text, document), _row)
    return text


def standalone_text(document: Document, args: Mapping[str, Any]) -> str:
    """Return a document as a spec that needs no other file; `args` replace the defaults of its arguments."""
    root = long_layout(document.tree)
    _head(root, document, bool(args))
    declared = root.get("args")
    for name, value in args.items():
        assert isinstance(declared, YamlGroup)
        _set_default(declared, name, _value(value))
    return write(root)


def embedded_text(document: Document, args: Mapping[str, Any], graph: Graph) -> str:
    """Return the spec that a compiled file contains: as `standalone_text`, in short strings if they mean the same.

    The text is read again, as `import` reads it from the file, and must give `graph`. Raises Unfaithful if it does not.
    """
    source = Source(document.name, standalone_text(document, args))
    problem: Exception | None = None
    for text_of in (_shortened, _unchanged):
        try:
            text = text_of(source)
            _check_same(graph, elaborate(document_of(from_source(Source(document.name, text)))), _row)
            return text
        except (ArchError, Unfaithful) as e:
            problem = e
    raise Unfaithful("the spec that the file would contain does not describe this network") from problem


def _shortened(source: Source) -> str:
    text = format_source(source)
    return text if same_meaning(source, Source(source.name, text)) else source.text


def _unchanged(source: Source) -> str:
    return source.text


def flat_text(spec: Spec, input: str | None = None, args: Mapping[str, Any] = {}) -> str:
    """Return a spec unrolled: no blocks, repeats, arguments or defaults, and every inferred value written.

    Raises all errors of the spec.
    """
    return _flat_text(*_network(spec, input, args), bool(args))


def _flat_text(document: Document, graph: Graph, with_args: bool) -> str:
    sections = flat(graph)
    root = YamlGroup([e for e in long_layout(document.tree).entries if e.key is not None and e.key.text in _KEPT])
    _head(root, document, with_args)
    root.put("input", _inputs(document, graph))
    if document.naming != "nested":
        root.put("defaults", mapping({"naming": YamlLeaf(document.naming)}, flow=True))
    root.put("net", sections.net)
    if sections.aux.entries:
        root.put("aux", sections.aux)
    if sections.outputs:
        references = {name: YamlLeaf(reference) for name, reference in sections.outputs.items()}
        root.put("outputs", mapping(references, flow=True))
    root.entries.sort(key=lambda e: TOP_LEVEL.index(e.key.text) if e.key else 0)
    fit(root)
    text = write(root)
    _check_same(graph, _read(text, document), _flat_row)
    return text


def formatted(source: Source) -> str:
    """Return the canonical text of a spec: short strings, one layout, all comments.

    Raises all errors of the spec and its variants; `Unfaithful` for a bug in archdsl.
    """
    before = _all_networks(source)
    for shorten in (True, False):
        text = format_source(source, shorten)
        after = Source(source.name, text, source.path)
        with suppress(ArchError):  # the reader refuses the text: it stays longer
            if same_meaning(source, after) and _all_networks(after) == before:
                return text
    raise Unfaithful("formatting would change the meaning of this spec")


# --- networks ----------------------------------------------------------------------------------------------

Row: TypeAlias = tuple[object, ...]


def _network(spec: Spec, input: str | None, args: Mapping[str, Any]) -> tuple[Document, Graph]:
    document = document_of(spec, input)
    return document, elaborate(document, args)


def _read(text: str, document: Document) -> Graph:
    """The graph of a text at the path of the document."""
    source = Source(f"{document.name} (rewritten)", text, document.source.path)
    return elaborate(document_of(from_source(source)))


def _all_networks(source: Source) -> dict[str, list[Row]]:
    """All nodes and outputs of the file's own network and of each variant."""
    own = from_source(source).tree
    variants = own.get("variants") if isinstance(own, Map) else None
    names = [None, *variants.entries] if isinstance(variants, Map) else [None]
    out = {}
    for name in names:
        _, graph = _network(from_source(source, name), None, {})
        out[name or ""] = [*map(_row, graph.nodes), _ends(graph)]
    return out


def _row(node: Node) -> Row:
    return node.path, node.op, node.inputs, concrete(node.shape), node.training, node.shared_with


def _flat_row(node: Node) -> Row:
    """As `_row`, but independent of how padding is written and of the names of implied nodes."""
    path = "" if node.implied else node.path
    own = (node.params, node.shared_with, node.op.window(node.in_shapes))
    return path, node.op.name, node.inputs, concrete(node.shape), node.training, *own


def _ends(graph: Graph) -> Row:
    sizes = [(s.name, s.default, s.minimum, s.step, bool(s.pinned)) for s in graph.sizes]
    return dict(graph.outputs), {name: (head.node, head.weight) for name, head in graph.aux.items()}, sizes


def _check_same(before: Graph, after: Graph, row: Callable[[Node], Row]) -> None:
    """Raises Unfaithful if the two networks differ."""
    differ = next((a for a, b in zip(before.nodes, after.nodes, strict=False) if row(a) != row(b)), None)
    if differ is not None or len(before.nodes) != len(after.nodes) or _ends(before) != _ends(after):
        what = f"`{differ.path}` differs" if differ is not None else "its nodes or outputs differ"
        raise Unfaithful(f"rewriting would change the meaning of this spec: {what}")


# --- sections ----------------------------------------------------------------------------------------------


def _head(root: YamlGroup, document: Document, overridden: bool) -> None:
    """Adds the name and labels, which a standalone text needs; drops preprocessing that `axes` leaves out.

    Drops claims of overridden arguments: they are for the default ones.
    """
    if "name" in root.keys or document.name != document.own or document.source.path is not None:
        rename(root, document.name)
    if overridden:
        root.drop("claims")
    if useless_preprocessing(document):
        root.drop("preprocess")
    if document.labels is not None:
        root.put("labels", listing([YamlLeaf(label) for label in document.labels], flow=True))


def _set_default(declared: YamlGroup, name: str, value: YamlLayout) -> None:
    old = declared.get(name)
    if isinstance(old, YamlGroup) and old.mapping:
        old.put("default", value)
    else:
        declared.put(name, value)


def _value(value: Any) -> YamlLayout:
    """An argument's value: a located tree from the command line, or a Python value."""
    if isinstance(value, (Scalar, Seq, Map)):
        return layout_of(value)
    return value_layout(tuple(value) if isinstance(value, list) else value)


def _inputs(document: Document, graph: Graph) -> YamlLayout:
    layouts: list[YamlLayout] = []
    for decl, node in zip(document.inputs, graph.inputs, strict=True):
        numbers = concrete(graph.nodes[node].shape)
        if any(size.symbol for size in decl.sizes):
            names = [f"{size.symbol}={n}" if size.symbol else n for size, n in zip(decl.sizes, numbers, strict=True)]
            layouts.append(value_layout(tuple(names)))
        else:
            layouts.append(YamlLeaf("x".join(map(str, numbers)), verbatim=len(numbers) == 1))
    if len(layouts) == 1 and document.inputs[0].name is None:
        return layouts[0]
    return mapping({str(decl.name): layout for decl, layout in zip(document.inputs, layouts, strict=True)}, flow=True)
