"""`archdsl.fix`: apply the fixes of diagnostics to spec files, and check the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import ArchError, Diagnostic, Edit, Fix, Source, error
from archdsl.diagnostics.arguments import check_callables, check_flags, check_type, conflict
from archdsl.diagnostics.status import status_of
from archdsl.files.rewrite import difference, rewrite
from archdsl.library.check import check_source
from archdsl.library.check_report import CheckedSpec, CheckReport
from archdsl.progress import Progress
from archdsl.source import read
from archdsl.spec.find import library_names, looks_like_spec, no_specs, spec_files

MAX_CHECKS = 100
"""How often a file is checked again; then no more fixes are tried."""


class AppliedFix(NamedTuple):
    """A fix that was tried: `place` is the position of its diagnostic at that time, as `file:line:column`."""

    code: str
    place: str
    title: str

    def __str__(self) -> str:
        return f"{self.place}: {self.code}: {self.title}"


@dataclass(frozen=True, slots=True)
class FixedFile:
    """The text of a spec file `before` and `after` its fixes, with a byte order mark if it has one.

    `undone` are fixes that would have added errors; `checked` is the result for `after`.
    """

    name: str
    before: str
    after: str
    applied: tuple[AppliedFix, ...]
    undone: tuple[AppliedFix, ...]
    checked: CheckedSpec

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def unsafe(self) -> int:
        """The number of remaining diagnostics that only have unsafe fixes."""
        return sum(bool(d.fixes) and not any(fix.safe for fix in d.fixes) for d in self.checked.diagnostics)

    def difference(self) -> str:
        """Return the changes as a unified diff; empty if there are none."""
        return difference(self.name, self.before, self.after, "fixed")

    def write(self) -> None:
        """Replace the file atomically if it has changes. Raises E0701 or E0704 if it cannot be written."""
        if self.changed:
            rewrite(self.name, self.before, self.after)


@dataclass(frozen=True, slots=True)
class FixReport:
    """All files, in order."""

    files: tuple[FixedFile, ...]

    @property
    def remaining(self) -> CheckReport:
        """What `archdsl.check` reports after the fixes."""
        return CheckReport(tuple(file.checked for file in self.files))

    @property
    def status(self) -> int:
        """The exit status of `check` after the fixes."""
        return self.remaining.status

    def write(self) -> None:
        """Write every changed file. Raises E0701 or E0704 at the first that cannot be written."""
        for file in self.files:
            file.write()


def fix(*files: str | Path, unsafe: bool = False, progress: Progress | None = None) -> FixReport:
    """Repair spec files with the fixes of their diagnostics, and check them again; `write` of the result writes them.

    A folder means its YAML files that have a line with `net:`, `extends:` or `archdsl:` at the top level, `-` standard
    input. Safe fixes have one reading and keep the meaning of all that was
    valid; `unsafe` also applies those that guess or change the network. All other text stays as it is. Fixes are
    applied in rounds until nothing changes; one that would add errors is undone. A file that a spec extends is not
    changed. `progress` is called with the number of files done and of all.

    A file that cannot be read is in the report. Raises E0002 without any file, E0003 for `-` together with other
    files, E0114 for a folder without specs.
    """
    for name in files:
        check_type("file", name, "a path", str, PathLike)
    check_flags(unsafe=unsafe)
    check_callables(progress=progress)
    if "-" in files and len(files) > 1:
        raise conflict("`-` is standard input, whose fixed text is printed: it cannot be combined with files")
    names = spec_files(files)
    if not names:
        raise error("E0002", "`files` is empty: pass at least one spec file", status=2)
    fixed = []
    for number, path in enumerate(names):
        file = _fixed_file(str(path), unsafe, named=path in files)
        if file is not None:
            fixed.append(file)
        if progress is not None:
            progress(number + 1, len(names))
    if not fixed:
        raise no_specs(files[0], "a spec has `net:` or `extends:`; to repair another file, name it")
    return FixReport(tuple(fixed))


def _fixed_file(name: str, unsafe: bool, named: bool) -> FixedFile | None:
    """Repair a file; None if it is not `named`, but in a folder, and its text may be any YAML."""
    try:
        source = read(name)
    except ArchError as problem:
        found = problem.diagnostics
        if name.partition("#")[0] in library_names():
            help_ = "`fix` changes files; a network of the library cannot be repaired"
            found = tuple(replace(d, help=help_) for d in found)
        checked = CheckedSpec(name, (), found, {}, status_of(problem))
        return FixedFile(name, "", "", (), (), checked)
    if not (named or looks_like_spec(source.text)):
        return None
    work = _Work(source, _checked(source), unsafe)
    work.run()
    before, after = source.mark + source.text, source.mark + work.source.text
    return FixedFile(name, before, after, tuple(work.applied), tuple(work.undone), work.checked)


def _checked(source: Source) -> CheckedSpec:
    *_, (report, _) = check_source(source)
    return report


class _Chosen(NamedTuple):
    diagnostic: Diagnostic
    fix: Fix

    @property
    def key(self) -> tuple[str, ...]:
        """Equal for the same fix after other edits, which move it."""
        return (self.diagnostic.code, self.fix.title, *(edit.span.text for edit in self.fix.edits))

    def noted(self) -> AppliedFix:
        return AppliedFix(self.diagnostic.code, str(self.fix.edits[0].span), self.fix.title)


class _Work:
    """The rounds on one file: each applies fixes that do not overlap, and keeps the result if it is not worse."""

    def __init__(self, source: Source, checked: CheckedSpec, unsafe: bool) -> None:
        self.source, self.checked, self.unsafe = source, checked, unsafe
        self.applied: list[AppliedFix] = []
        self.undone: list[AppliedFix] = []
        self.refused: set[tuple[str, ...]] = set()

    def run(self) -> None:
        texts, most = {self.source.text}, len(self.checked.diagnostics)
        for _ in range(MAX_CHECKS):
            chosen = list(self.choose())[:most]
            if not chosen:
                return
            edits = [edit for one in chosen for edit in one.fix.edits]
            after = Source(self.source.name, edited(self.source.text, edits), self.source.path)
            checked = _checked(after)
            if after.text not in texts and not _worse(self.checked, checked, chosen):
                self.applied += [one.noted() for one in chosen]
                self.source, self.checked, most = after, checked, max(2 * most, 1)
                texts.add(after.text)
            elif len(chosen) > 1:
                most = len(chosen) // 2
            else:
                self.undone.append(chosen[0].noted())
                self.refused.add(chosen[0].key)

    def choose(self) -> Iterator[_Chosen]:
        """Yield the first permitted fix of each diagnostic, if it overlaps none before it."""
        taken: list[tuple[int, int]] = []
        for d in self.checked.diagnostics:
            options = [_Chosen(d, fix) for fix in d.fixes if fix.safe or self.unsafe]
            one = next((option for option in options if option.key not in self.refused), None)
            if one is None or any(edit.span.source is not self.source for edit in one.fix.edits):
                continue
            places = [(edit.span.start, edit.span.end) for edit in one.fix.edits]
            if not any(start <= stop and begin <= end for start, end in places for begin, stop in taken):
                taken += places
                yield one


def edited(text: str, edits: list[Edit]) -> str:
    """Return the text with edits that do not overlap."""
    for edit in sorted(edits, key=lambda edit: edit.span.start, reverse=True):
        text = text[: edit.span.start] + edit.text + text[edit.span.end :]
    return text


def _worse(before: CheckedSpec, after: CheckedSpec, chosen: list[_Chosen]) -> bool:
    """Whether the file has more errors than before, or a chosen diagnostic is still there.

    An error of YAML hides all others: without it they appear. It may also be followed by a later one.
    """
    syntax, later = (next(filter(_of_yaml, spec.diagnostics), None) for spec in (before, after))
    if syntax is not None:
        return later is not None and _until_end(later) >= _until_end(syntax)
    if later is not None or after.count("error") > before.count("error"):
        return True
    counts, left = (Counter((d.code, d.message) for d in spec.diagnostics) for spec in (before, after))
    return any(left[d.code, d.message] >= counts[d.code, d.message] for d, _ in chosen)


def _of_yaml(d: Diagnostic) -> bool:
    return d.code.startswith("E01")


def _until_end(d: Diagnostic) -> int:
    """The characters after the start of a diagnostic; edits before it do not change them."""
    return 0 if d.span is None else len(d.span.source.text) - d.span.start
