"""From a SPEC to a Document: read, `extends` and the variant laid over, the parts checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from archdsl.diagnostics import ArchError, Label, Source, Span, error
from archdsl.language.document import Document
from archdsl.language.merge import NOT_INHERITED, apply_variant, overlay, with_bare_args
from archdsl.language.read_document import read_document
from archdsl.source import Entry, Map, Scalar, Tree, decode, parse
from archdsl.spec.find import SpecLocation, find_spec, library_folder, read_source

MAX_EXTENDS = 8
MAX_VARIANTS = 200
"""Each is a network of its own, and checking a spec checks them all."""


@dataclass(frozen=True)
class Spec:
    """A spec as a located tree, its base and variant laid in; not yet checked."""

    source: Source
    tree: Tree
    name: str
    own: str


def open_spec(spec: str | Path) -> Spec:
    """Reads what a SPEC means. Raises E01xx (reading), E0204 to E0207 (names, variants, extends)."""
    found = find_spec(str(spec)) if not isinstance(spec, Path) else SpecLocation(spec, None)
    return from_source(read_source(found), found.variant)


def from_source(source: Source, variant: str | None = None) -> Spec:
    tree = parse(source)
    own = source.path.stem if source.path is not None else "network"
    if not isinstance(tree, Map):
        raise error("E0202", "a spec is a mapping, with `input:` and `net:`", tree.span)
    variants = tree.get("variants")
    if isinstance(variants, Map) and len(variants.entries) > MAX_VARIANTS:
        raise error(
            "E0107",
            f"a spec has at most {MAX_VARIANTS} variants, not {len(variants.entries):,}",
            tree.entries["variants"].key.span,
        )
    named = tree.get("name")
    own = named.text if isinstance(named, Scalar) and isinstance(named.value, str) else own
    tree = _extended(tree, source, ())
    if variant is None or variant == own:
        return Spec(source, tree, own, own)
    return Spec(source, apply_variant(tree, variant, own), variant, own)


def _extended(tree: Map, source: Source, chain: tuple[Path, ...]) -> Map:
    """The tree laid over the spec that it extends."""
    base_name = tree.get("extends")
    if base_name is None:
        return tree
    if not isinstance(base_name, Scalar) or not isinstance(base_name.value, str):
        raise error("E0202", "`extends` names a spec", base_name.span)
    here = source.path.resolve() if source.path is not None else None
    chain = (*chain, here) if here is not None else chain
    try:
        found = find_spec(base_name.value, here.parent if here is not None else Path())
        base = _base(found, base_name, here, chain)
    except ArchError as problem:
        raise _extended_here(problem, base_name.span) from None
    base = Map({k: e for k, e in base.entries.items() if k not in NOT_INHERITED}, base.span, base.flow)
    over = Map({k: e for k, e in tree.entries.items() if k != "extends"}, tree.span, tree.flow)
    return overlay(base, with_bare_args(base, over))


def _base(found: SpecLocation, name: Scalar, here: Path | None, chain: tuple[Path, ...]) -> Map:
    """The spec that is extended, with what it extends itself. Raises E0206, E0207, and what is wrong with it."""
    path = Path(found.path).resolve()
    inside = library_folder() in path.parents or (here is not None and here.parent in path.parents)
    if found.path == "-" or not inside or Path(name.text).is_absolute():
        folder = "of its own folder or " if here is not None else ""
        raise error("E0207", f"a spec extends one {folder}of the library", name.span)
    if path in chain or len(chain) > MAX_EXTENDS:
        names = " -> ".join(p.name for p in (*chain, path))
        raise error("E0206", f"these specs extend each other: {names}", name.span)
    source = read_source(found)
    tree = parse(source)
    if not isinstance(tree, Map):
        raise error("E0202", "a spec is a mapping", tree.span)
    tree = _extended(tree, source, chain)
    return apply_variant(tree, found.variant, path.stem, name.span) if found.variant is not None else tree


def _extended_here(problem: ArchError, span: Span) -> ArchError:
    """What is wrong with a base, told where it is extended; a base that cannot be read is the spec's mistake."""
    told = []
    for d in problem.diagnostics:
        if d.span is None:
            told.append(replace(d, span=span))
        elif d.span.source is not span.source and span not in [label.span for label in d.labels]:
            told.append(replace(d, labels=(*d.labels, Label(span, "extended here"))))
        else:
            told.append(d)
    return ArchError(told)


def read_spec(spec: str | Path, input: str | None = None) -> Document:
    """The document of a SPEC, its input overridden (`3x320x320`)."""
    opened = open_spec(spec)
    return document_of(opened, input)


def document_of(spec: Spec, input: str | None = None) -> Document:
    tree = spec.tree
    if input is not None and isinstance(tree, Map):
        old = tree.entries.get("input")
        new = _scalar(input, "--input")
        if old is not None and isinstance(old.value, Map):
            raise error("E0212", f"`{spec.name}` has several inputs; one size cannot be given", new.span)
        tree = Map({**tree.entries, "input": Entry(old.key if old else new, new)}, tree.span, tree.flow)
    return read_document(tree, spec.source, spec.name, spec.own)


def resized(problem: ArchError, spec: Spec, input: str) -> ArchError:
    """What is wrong with a spec under an input of another size; where a vector was given for an image, that (E0202)."""
    own = spec.tree.entries.get("input") if isinstance(spec.tree, Map) else None
    image = (
        re.fullmatch(r"(\d+)x\d+x\d+", own.value.text) if own is not None and isinstance(own.value, Scalar) else None
    )
    if (
        image is None
        or not re.fullmatch(r"\d+(x\d+)?", input)
        or not {"E0401", "E0202"} & {d.code for d in problem.diagnostics}
    ):
        return problem
    high, _, wide = input.partition("x")
    return error(
        "E0202",
        f"`{spec.name}` takes an image, channels x height x width",
        _scalar(input, "--input").span,
        help=f"`{image[1]}x{high}x{wide or high}`",
    )


def _scalar(text: str, name: str) -> Scalar:
    tree = parse(Source(name, text))
    if not isinstance(tree, Scalar):
        raise error("E0202", f"`{text[:60]}` is not an input size", tree.span, help="e.g. 3x320x320")
    return tree


def parse_overrides(pairs: Mapping[str, str]) -> dict[str, Tree]:
    """Values of arguments given as text, `{"n": "[3, 4, 6, 3]"}`, as located trees."""
    out: dict[str, Tree] = {}
    for name, text in pairs.items():
        source = decode(text.encode(), f"-a {name}")
        out[name] = parse(source)
    return out
