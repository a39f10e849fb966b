"""From a SPEC to a Document: read the file, merge `extends` and the variant, check the sections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from archdsl.axes import CHANNELS, KINDS, MOST
from archdsl.diagnostics import ArchError, Label, Source, Span, error
from archdsl.language.document import Document
from archdsl.language.inheritance import NOT_INHERITED, apply_variant, with_bare_args
from archdsl.language.overlay import overlay
from archdsl.language.read_document import known_document
from archdsl.source import CUT, Entry, Map, Scalar, Seq, Tree, decode, parse, parse_known
from archdsl.spec.find import SpecLocation, find_spec, library_folder, read_source

MAX_EXTENDS = 8
_SIZES = re.compile(rf"\d{{1,18}}(x\d{{1,18}}){{,{MOST}}}", re.ASCII)
MAX_VARIANTS = 200
"""Each variant is a network, and `check` checks all of them."""


@dataclass(frozen=True)
class Spec:
    """A spec as a located tree, its base and variant merged; not yet checked. `own` is the file's own name."""

    source: Source
    tree: Tree
    name: str
    own: str


def open_spec(spec: str | Path) -> Spec:
    """Read the spec that a SPEC refers to. Raises E01xx (reading), E0204 to E0207 (names, variants, extends)."""
    found, problem = known_spec(spec)
    if problem is not None:
        raise problem
    return found


def known_spec(spec: str | Path) -> tuple[Spec, ArchError | None]:
    """Return what is known of the spec that a SPEC refers to, as `from_known_source`. Raises if it cannot be read."""
    location = find_spec(str(spec)) if not isinstance(spec, Path) else SpecLocation(spec, None)
    return from_known_source(read_source(location), location.variant)


def files_of(spec: str) -> list[Path]:
    """Return the file that a SPEC refers to and those that it extends, as far as they can be read. Raises nothing."""
    paths: list[Path] = []
    try:
        location = find_spec(spec)
        while location.path != "-" and len(paths) <= MAX_EXTENDS:
            path = Path(location.path).resolve()
            if path in paths or (paths and not may_extend(paths[-1].parent, path)):
                break
            paths.append(path)
            tree = parse(read_source(location))
            base = tree.get("extends") if isinstance(tree, Map) else None
            if not isinstance(base, Scalar):
                break
            location = find_spec(base.text, path.parent)
    except ArchError:
        pass
    return paths


def may_extend(folder: Path | None, path: Path) -> bool:
    """Whether a spec in a folder may extend the file: it is in the library or below the folder."""
    return library_folder() in path.parents or (folder is not None and folder in path.parents)


def from_source(source: Source, variant: str | None = None) -> Spec:
    """Parse a spec and merge its base and variant. Raises as `open_spec`."""
    spec, problem = from_known_source(source, variant)
    if problem is not None:
        raise problem
    return spec


def from_known_source(source: Source, variant: str | None = None) -> tuple[Spec, ArchError | None]:
    """Return what is known of a spec, and the errors that `from_source` raises; None if there are none.

    After an error of YAML this is the text before it, but of a spec with a base or a variant it is nothing. Nothing is
    known either if the base or the variant has an error.
    """
    tree, problem = parse_known(source)
    if problem is not None:
        from archdsl.language.foreign.files import answer_file

        problem = answer_file(source, problem)
    nothing = Map({}, Span(source, 0, 0), False)
    if problem is not None and isinstance(tree, Map):
        based = variant is not None or _key_in("extends", source) is not None
        tree = nothing if based else _without_later_defaults(tree, source)
    try:
        return _merged(tree or nothing, source, variant), problem
    except ArchError as e:
        own = source.path.stem if source.path is not None else "network"
        return Spec(source, nothing, own, own), problem or e


def _without_later_defaults(tree: Map, source: Source) -> Map:
    """The part of a spec before an error of YAML; `defaults` is invalid if it may follow, as it changes these nodes."""
    span = _key_in("defaults", source)
    if span is None or "defaults" in tree.entries:
        return tree
    later = Entry(Scalar("defaults", "defaults", span), Scalar(CUT, CUT, span))
    return Map({**tree.entries, "defaults": later}, tree.span, tree.flow)


def _key_in(name: str, source: Source) -> Span | None:
    match = re.search(rf"\b{name}[\"']?\s*:", source.text)
    return None if match is None else Span(source, *match.span())


def _merged(tree: Tree, source: Source, variant: str | None) -> Spec:
    own = source.path.stem if source.path is not None else "network"
    if not isinstance(tree, Map):
        is_name = source.path is None and isinstance(tree, Scalar) and tree.text.endswith((".yaml", ".yml"))
        help_ = "this text is the name of a file, which `archdsl.load` reads" if is_name else ""
        raise error("E0202", "a spec is a mapping, with `input:` and `net:`", tree.span, help=help_)
    variants = tree.get("variants")
    if isinstance(variants, Map) and len(variants.entries) > MAX_VARIANTS:
        raise error(
            "E0107",
            f"the spec has {len(variants.entries):,} variants; the limit is {MAX_VARIANTS}",
            tree.entries["variants"].key.span,
        )
    named = tree.get("name")
    own = named.text if isinstance(named, Scalar) and isinstance(named.value, str) else own
    tree = _extended(tree, source, ())
    if variant is None or variant == own:
        return Spec(source, tree, own, own)
    return Spec(source, apply_variant(tree, variant, own), variant, own)


def _extended(tree: Map, source: Source, chain: tuple[Path, ...]) -> Map:
    """The tree, merged over the spec that it extends."""
    base_name = tree.get("extends")
    if base_name is None:
        return tree
    if not isinstance(base_name, Scalar) or not isinstance(base_name.value, str):
        raise error("E0202", "`extends` must be the name or path of a spec", base_name.span)
    here = source.path.resolve() if source.path is not None else None
    chain = (*chain, here) if here is not None else chain
    try:
        location = find_spec(base_name.value, here.parent if here is not None else Path())
        base = _base(location, base_name, here, chain)
    except ArchError as problem:
        raise _with_extends(problem, base_name.span) from None
    base = Map({k: e for k, e in base.entries.items() if k not in NOT_INHERITED}, base.span, base.flow)
    over = Map({k: e for k, e in tree.entries.items() if k != "extends"}, tree.span, tree.flow)
    return overlay(base, with_bare_args(base, over))


def _base(location: SpecLocation, name: Scalar, here: Path | None, chain: tuple[Path, ...]) -> Map:
    """The base spec, merged with its own base. Raises E0206, E0207, and the errors of the base."""
    path = Path(location.path).resolve()
    inside = may_extend(here.parent if here is not None else None, path)
    if location.path == "-" or not inside or Path(name.text).is_absolute():
        folder = "the folder of this spec or in " if here is not None else ""
        raise error("E0207", f"`extends` accepts only specs in {folder}the library", name.span)
    names = " -> ".join(p.name for p in (*chain, path))
    if path in chain:
        raise error("E0206", f"these specs extend each other: {names}", name.span)
    if len(chain) > MAX_EXTENDS:
        raise error("E0206", f"a chain of `extends` is longer than {MAX_EXTENDS} specs: {names}", name.span)
    source = read_source(location)
    tree = parse(source)
    if not isinstance(tree, Map):
        raise error("E0202", "a spec is a mapping", tree.span)
    tree = _extended(tree, source, chain)
    return apply_variant(tree, location.variant, path.stem, name.span) if location.variant is not None else tree


def _with_extends(problem: ArchError, span: Span) -> ArchError:
    """The errors of a base, labelled with the `extends` that reads it.

    An error without a span (the base cannot be read) is reported at the `extends`.
    """
    diagnostics = []
    for d in problem.diagnostics:
        if d.span is None:
            diagnostics.append(replace(d, span=span))
        elif d.span.source is not span.source and span not in [label.span for label in d.labels]:
            diagnostics.append(replace(d, labels=(*d.labels, Label(span, "extended here"))))
        else:
            diagnostics.append(d)
    return ArchError(diagnostics)


def read_spec(spec: str | Path, input: str | None = None) -> Document:
    """Return the document of a SPEC; `input` replaces its input size (`3x320x320`)."""
    return document_of(open_spec(spec), input)


def document_of(spec: Spec, input: str | None = None) -> Document:
    """Return the document of a spec; `input` replaces its input size. Raises E0212 if the spec has several inputs."""
    document, problem = known_document_of(spec, input)
    if problem is not None:
        raise problem
    return document


def known_document_of(spec: Spec, input: str | None = None) -> tuple[Document, ArchError | None]:
    """Return what is known of a document, and the errors that `document_of` raises; None if there are none.

    Raises E0212, and the errors of `input` itself.
    """
    tree = spec.tree
    if input is not None and isinstance(tree, Map):
        old = tree.entries.get("input")
        new = _scalar(input, "--input")
        if old is not None and isinstance(old.value, Map):
            raise error(
                "E0212",
                f"cannot set one input size: `{spec.name}` has several inputs",
                new.span,
                help="write them in a spec: `extends: ...` and `input: {...}`",
            )
        tree = Map({**tree.entries, "input": Entry(old.key if old else new, new)}, tree.span, tree.flow)
    return known_document(tree, spec.source, spec.name, spec.own)


def resized(problem: ArchError, spec: Spec, input: str) -> ArchError:
    """The error of a spec with another input size; E0202 if the input of the spec has another number of axes."""
    own, sizes = _input_sizes(spec.tree), input.split("x")
    of_axes = {"E0401", "E0202", "E0426", "E0427"} & {d.code for d in problem.diagnostics}
    if len(own) < 2 or len(sizes) == len(own) or not _SIZES.fullmatch(input) or not of_axes:
        return problem
    kind, other = KINDS[len(own) - 1], len(sizes) - 1
    meant = _with_channels(own, sizes)
    help_ = f"write `{'x'.join(meant)}`"
    if not meant:
        example = f", e.g. `{'x'.join(own)}`" if all(map(str.isdigit, own)) else ""
        more = f"; for {KINDS[other].noun}, write `axes: {other}` and the input in a spec that extends this one"
        help_ = f"write {len(own)} sizes{example}{more}"
    return error(
        "E0202",
        f"the input of `{spec.name}` is {kind.noun}: {' x '.join(('channels', *kind.sizes))}",
        _scalar(input, "--input").span,
        help=help_,
    )


def _input_sizes(tree: Tree) -> list[str]:
    """The sizes of the only input as text, of `[3, H=224, W=224]` without the names; empty if they are not listed."""
    own = tree.get("input") if isinstance(tree, Map) else None
    if isinstance(own, Seq):
        return [item.span.text.rpartition("=")[2].strip() for item in own.items]
    return own.text.split("x") if isinstance(own, Scalar) and _SIZES.fullmatch(own.text) else []


def _with_channels(own: list[str], sizes: list[str]) -> list[str]:
    """One size for all axes, or the sizes of all axes, with the channels of the spec; empty if that is not certain.

    The first size may be the channels if images can have as many, or if it is far from the others.
    """
    numbers = [int(size) for size in sizes]
    if len(sizes) > 1:
        channels = numbers[0] in CHANNELS or sizes[0] == own[0] or max(numbers) > 8 * min(numbers)
        if len(sizes) != len(own) - 1 or channels:
            return []
    return [own[0], *(sizes if len(sizes) > 1 else sizes * (len(own) - 1))]


def _scalar(text: str, name: str) -> Scalar:
    tree = parse(Source(name, text))
    if not isinstance(tree, Scalar):
        raise error("E0202", f"`{text[:60]}` is not an input size", tree.span, help="write it as in `3x320x320`")
    return tree


def parse_overrides(pairs: Mapping[str, str]) -> dict[str, Tree]:
    """Parse the values of arguments, `{"n": "[3, 4, 6, 3]"}`, into located trees."""
    out: dict[str, Tree] = {}
    for name, text in pairs.items():
        source = decode(text.encode(), f"-a {name}")
        out[name] = parse(source)
    return out
