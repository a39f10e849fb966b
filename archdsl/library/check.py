"""Everything that can be said of a spec: all diagnostics of its own network and its variants, and of its claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from archdsl.diagnostics import ArchError, Diagnostic, Source
from archdsl.diagnostics.status import in_usage, status_of
from archdsl.elaborate import elaborate
from archdsl.graph import Graph
from archdsl.library.claims import Verdict, differences, judge
from archdsl.library.reasons import likely
from archdsl.network import Network
from archdsl.shapes import concrete
from archdsl.source import Map, Tree
from archdsl.spec.find import SpecLocation, find_spec, read_source
from archdsl.spec.open import Spec, document_of, from_source, parse_overrides

_SHOWN = 4
"""Names of variants in a note."""


@dataclass
class Review:
    """What was found. `networks` are those that were looked at, the file's own first; `status` the exit status."""

    spec: str
    networks: list[str] = field(default_factory=list)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    status: int = 0
    found: dict[tuple[str, tuple[str, int, int] | str], tuple[Diagnostic, list[str]]] = field(default_factory=dict)
    """By code and place, for `--input` is read anew for each network; with the networks that have it."""

    def add(self, diagnostics: tuple[Diagnostic, ...], network: str) -> None:
        for d in diagnostics:
            place = d.message if d.span is None else (d.span.source.name, d.span.start, d.span.end)
            self.found.setdefault((d.code, place), (d, []))[1].append(network)
            if d.severity == "error":
                self.status = max(self.status, 2 if in_usage((d,)) else 1)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Each mistake once, in the order of the source; with the variants that have it, if the file's own has not."""
        told = (_with_variants(d, names, self.networks) for d, names in self.found.values())
        return tuple(sorted(told, key=Diagnostic.sort_key))

    def count(self, severity: str) -> int:
        return sum(d.severity == severity for d, _ in self.found.values())


def check(spec: str | Path, args: Mapping[str, str] | None = None, size: str | None = None) -> Review:
    """The review of a SPEC: a file or a library's family with all its variants, or one variant alone.

    `args` (as text) and `size` override the spec's; its claims are then not checked. Never raises ArchError.
    """
    out = Review(str(spec))
    try:
        found = find_spec(spec) if isinstance(spec, str) else SpecLocation(spec, None)
        source = read_source(found)
        out.spec = source.name
        overrides = parse_overrides(args or {})
    except ArchError as problem:
        out.add(problem.diagnostics, "")
        out.status = status_of(problem)
        return out
    opened = _opened(out, source, found.variant)
    _look(out, opened, overrides, size, own=found.variant is None)
    if found.variant is None and opened is not None:
        for name in _variants(opened.tree):
            _look(out, _opened(out, source, name), overrides, size, own=False)
    return out


def _opened(out: Review, source: Source, variant: str | None) -> Spec | None:
    try:
        return from_source(source, variant)
    except ArchError as problem:
        out.add(problem.diagnostics, variant or "")
        return None


def _look(out: Review, opened: Spec | None, overrides: Mapping[str, Tree], size: str | None, own: bool) -> None:
    """One network: read, elaborated, its notes, preprocessing, labels and claims."""
    if opened is None:
        return
    out.networks.append(opened.name)
    try:
        document = document_of(opened, size)
        net = Network(document, elaborate(document, overrides), overrides)
        out.add(net.graph.notes, net.name)
        out.add(label_note(net, own and not overrides), net.name)
        net.recipe  # noqa: B018 - raises where the preprocessing does not fit
    except ArchError as problem:
        out.add(problem.diagnostics, opened.name)
        return
    if not overrides and size is None and document.claims:
        out.verdicts[net.name] = _judged(opened, net)
        out.add(differences(out.verdicts[net.name]), net.name)


def _judged(opened: Spec, net: Network) -> tuple[Verdict, ...]:
    """The claims held against the network; of one that differs, how it was probably counted."""

    def resized(side: int) -> Graph | None:
        channels = concrete(net.graph.nodes[net.graph.inputs[0]].shape)[0]
        try:
            return elaborate(document_of(opened, f"{channels}x{side}x{side}"), {})
        except ArchError:
            return None

    verdicts = judge(net.document.claims, net.totals)
    return tuple(v if v.holds else replace(v, reason=likely(v, net.graph, resized)) for v in verdicts)


def label_note(net: Network, own: bool = False) -> tuple[Diagnostic, ...]:
    """What to say of labels that are left out because their number is not the output's width.

    For the network as the spec itself has it (`own`) that is a mistake, and a warning.
    """
    labels, classes = net.document.labels, net.classes
    if labels is None or net.labels is not None:
        return ()
    width = "its output is no vector of classes" if classes is None else f"the output has {classes:,} values"
    message = f"{len(labels):,} labels are left out: {width}"
    span = net.document.labels_span
    help_ = "`labels: [...]` in your spec names its own classes, `labels: null` none" if own else ""
    return (Diagnostic("W0903" if own else "N0903", message, span, help=help_, severity="warning" if own else "note"),)


def _variants(tree: Tree) -> tuple[str, ...]:
    variants = tree.get("variants") if isinstance(tree, Map) else None
    return tuple(variants.entries) if isinstance(variants, Map) else ()


def _with_variants(d: Diagnostic, names: list[str], networks: list[str]) -> Diagnostic:
    if not networks or networks[0] in names or len(networks) == 1 or names == [""]:
        return d
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return replace(d, notes=(*d.notes, f"in the variant{'s' if len(names) > 1 else ''} {shown}{more}"))
