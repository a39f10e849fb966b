"""`archdsl.check`: all diagnostics of a spec's own network, of its variants and of its claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import ArchError, Diagnostic, Source, error
from archdsl.diagnostics.arguments import check_callables, check_flags, check_mappings, check_type, conflict
from archdsl.diagnostics.status import in_usage, status_of
from archdsl.elaborate import elaborate
from archdsl.library.check_report import CheckedSpec, CheckReport
from archdsl.library.claims import Verdict, check_claims, differences
from archdsl.library.reasons import likely
from archdsl.network import Network, as_network, known_network, label_note, size_text
from archdsl.progress import Progress
from archdsl.report.text import few
from archdsl.source import Map, Tree
from archdsl.spec.find import SpecLocation, find_spec, read_source, spec_files
from archdsl.spec.models import names_model
from archdsl.spec.open import Spec, document_of, from_known_source, from_source
from archdsl.spec.patterns import expanded

_SHOWN = 4
"""Names of variants in a note."""


def check(
    *specs: str | Path,
    input: str | Sequence[int] | None = None,
    args: Mapping[str, object] | None = None,
    why: bool = False,
    progress: Progress | None = None,
) -> CheckReport:
    """Check specs with all their variants and claims, and report every error, warning and note.

    A SPEC is a file, a variant in a file, a name of the library, a pattern as for `compare`, or a folder with
    all its spec files. `input` and
    `args` set the input size and arguments of the specs, as in `load`; claims are then not checked. `why` searches for
    the probable reason why a claim differs: another way of counting. `progress` is called with the number of checked
    specs and of all.

    Errors of a spec are in the report and not raised, even if the file does not exist, a folder has no specs or a
    pattern matches nothing. Raises E0002 without any spec, E0003 for `why` with `args` or `input`.
    """
    for spec in specs:
        check_type("spec", spec, "a path or a name", str, PathLike)
    check_mappings(args=args)
    check_flags(why=why)
    check_callables(progress=progress)
    if why and (args or input is not None):
        raise conflict("`why` is about claims, which are not checked with `args` or `input`")
    if not specs:
        raise error("E0002", "`specs` is empty: pass at least one SPEC", status=2)
    files = [file for spec in specs for file in _files(spec)]
    checked = []
    settings = _Settings(args or {}, size_text(input), why)
    for number, file in enumerate(files):
        checked.append(file if isinstance(file, CheckedSpec) else _checked(file, settings))
        if progress is not None:
            progress(number + 1, len(files))
    return CheckReport(tuple(checked))


class _Settings(NamedTuple):
    """The arguments of `check`."""

    args: Mapping[str, object]
    size: str | None
    why: bool


@dataclass
class _Findings:
    """The result for one spec so far. `reported`: each diagnostic by code, text and position, with its networks.

    An error is reported once, with the message of the first network.

    Each network reads `--input` again, so the key is the position in the source, not the source object.
    """

    spec: str
    networks: list[str] = field(default_factory=list)
    verdicts: dict[str, tuple[Verdict, ...]] = field(default_factory=dict)
    status: int = 0
    reported: dict[tuple[object, ...], tuple[Diagnostic, list[str]]] = field(default_factory=dict)

    def add(self, diagnostics: tuple[Diagnostic, ...], network: str) -> None:
        for d in diagnostics:
            text = d.message if d.span is None or d.severity != "error" else ""
            place = None if d.span is None else (d.span.source.name, d.span.start, d.span.end)
            self.reported.setdefault((d.code, text, place), (d, []))[1].append(network)
            if d.severity == "error":
                self.status = max(self.status, 2 if in_usage((d,)) else 1)

    def result(self) -> CheckedSpec:
        named = (_with_variants(d, names, self.networks) for d, names in self.reported.values())
        diagnostics = tuple(sorted(named, key=Diagnostic.sort_key))
        return CheckedSpec(self.spec, tuple(self.networks), diagnostics, self.verdicts, self.status)


def _files(spec: str | Path) -> Sequence[str | Path | CheckedSpec]:
    """The files that a SPEC means, or the report that there are none."""
    try:
        return spec_files(expanded([spec]))
    except ArchError as problem:
        return [CheckedSpec(str(spec), (), problem.diagnostics, {}, status_of(problem))]


def _checked(spec: str | Path, settings: _Settings) -> CheckedSpec:
    """Check a spec with all its variants, or one variant alone."""
    out = _Findings(str(spec))
    if names_model(spec):
        return _checked_model(out, spec, settings)
    try:
        location = find_spec(spec) if isinstance(spec, str) else SpecLocation(spec, None)
        source = read_source(location)
    except ArchError as problem:
        out.add(problem.diagnostics, "")
        out.status = status_of(problem)
        return out.result()
    out.spec = source.name
    opened = _opened(out, source, location.variant)
    _check_network(out, opened, settings, own=location.variant is None)
    if location.variant is None and opened is not None:
        for name in _variants(opened.tree):
            _check_network(out, _opened(out, source, name), settings, own=False)
    return out.result()


def _checked_model(out: _Findings, model: str | Path, settings: _Settings) -> CheckedSpec:
    try:
        net = as_network(model, settings.args, settings.size)
        out.networks.append(net.name)
        out.add(net.notes, net.name)
        net.recipe  # noqa: B018 - raises if the preprocessing does not match the input
    except ArchError as problem:
        out.add(problem.diagnostics, "")
        out.status = status_of(problem)
    return out.result()


def _opened(out: _Findings, source: Source, variant: str | None) -> Spec | None:
    try:
        return from_source(source, variant)
    except ArchError as problem:
        out.add(problem.diagnostics, variant or "")
        return None


def _check_network(out: _Findings, opened: Spec | None, settings: _Settings, own: bool) -> None:
    """Elaborate one network, and check its preprocessing, labels and claims."""
    if opened is None:
        return
    out.networks.append(opened.name)
    args, size, why = settings
    try:
        document = document_of(opened, size)
        net = Network(document, elaborate(document, args), args)
    except ArchError as problem:
        out.add(problem.diagnostics, opened.name)
        return
    if _check_facts(out, net, own and not args) and not args and size is None:
        _check_claims(out, net, why)


def _check_facts(out: _Findings, net: Network, own: bool) -> bool:
    """Check the preprocessing and the labels of a complete network; return whether they are valid."""
    out.add(net.graph.notes, net.name)
    try:
        out.add(label_note(net.document, net.classes, own), net.name)
        net.recipe  # noqa: B018 - raises if the preprocessing does not match the input
    except ArchError as problem:
        out.add(problem.diagnostics, net.name)
        return False
    return True


def _check_claims(out: _Findings, net: Network, why: bool) -> None:
    if net.document.claims:
        verdicts = check_claims(net.document.claims, net.totals)
        if why:
            verdicts = tuple(v if v.holds else replace(v, reason=likely(v, net.graph)) for v in verdicts)
        out.verdicts[net.name] = verdicts
        out.add(differences(verdicts), net.name)


def check_source(source: Source) -> Iterator[tuple[CheckedSpec, Network]]:
    """Check a text step by step: yield the report of its own network, then the report with each further variant.

    The first report has no claims yet; the last is that of `check`. The network is that of the text, incomplete if it
    has errors. Nothing is raised: a reader can stop after any step.
    """
    out, settings = _Findings(source.name), _Settings({}, None, False)
    opened, unread = from_known_source(source)
    net = known_network(opened, unread)
    if unread is None:
        out.networks.append(net.name)
    valid = False
    if net.problem is None:
        valid = _check_facts(out, net, own=True)
    else:
        out.add(net.problem.diagnostics, "" if unread else net.name)
    yield out.result(), net
    if valid:
        _check_claims(out, net, settings.why)
    for name in _variants(opened.tree) if unread is None else ():
        yield out.result(), net
        _check_network(out, _opened(out, source, name), settings, own=False)
    yield out.result(), net


def _variants(tree: Tree) -> tuple[str, ...]:
    variants = tree.get("variants") if isinstance(tree, Map) else None
    return tuple(variants.entries) if isinstance(variants, Map) else ()


def _with_variants(d: Diagnostic, names: list[str], networks: list[str]) -> Diagnostic:
    if not networks or networks[0] in names or len(networks) == 1 or names == [""]:
        return d
    listed = few([f"`{name}`" for name in names], _SHOWN)
    return replace(d, notes=(*d.notes, f"in the variant{'s' if len(names) > 1 else ''} {listed}"))
