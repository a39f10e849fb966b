"""One state of a text in an editor: its diagnostics, and the network whose shapes are shown next to it.

Half of the states of a text that is being typed are not YAML, and most of the others have an error. So that a line
costs only its own shapes while it is typed, the network that is shown is, in this order: that of the text; the last
valid one, if only a line has changed since; what is known of a text that is YAML; that of the text without the line
that breaks the YAML, as far as that line cannot change it; the last valid one up to the first change; what is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from archdsl.diagnostics import Diagnostic, Source
from archdsl.language.document import Document
from archdsl.library.check import check_source
from archdsl.library.check_report import CheckedSpec
from archdsl.network import Network, known_network
from archdsl.source import Map, parse_known
from archdsl.spec.open import from_known_source, known_document_of

_SECTION = re.compile(r"^([A-Za-z_]\w*) *:", re.ASCII | re.MULTILINE)
_APART = frozenset(("variants", "claims"))
"""Sections that do not change the network of the text itself."""


class Change(NamedTuple):
    """The characters `start` to `old_end` of a text became `start` to `new_end` of another text."""

    start: int
    old_end: int
    new_end: int

    @classmethod
    def between(cls, old: str, new: str) -> Change:
        """Return the smallest change that turns one text into the other."""
        most = min(len(old), len(new))
        start = _common(old, new, most)
        end = _common(old[::-1], new[::-1], most - start)
        return cls(start, len(old) - end, len(new) - end)

    def moved(self, offset: int) -> int | None:
        """Return where an offset of the old text is in the new one; None if it is within the change."""
        if offset <= self.start:
            return offset
        return offset + self.new_end - self.old_end if offset >= self.old_end else None


def _common(a: str, b: str, most: int) -> int:
    """How many characters two texts share at their start, by bisection, as slices are compared fast."""
    least = 0
    while least < most:
        middle = (least + most + 1) // 2
        if a[least:middle] == b[least:middle]:
            least = middle
        else:
            most = middle - 1
    return least


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A text with what is known of it. Spans of `tree` and of `diagnostics` are those of the text."""

    source: Source
    report: CheckedSpec
    network: Network
    """The network of the text, incomplete if that has errors."""
    shown: Network
    """The network whose shapes are shown."""
    change: Change
    """From the text of `shown` to this text."""
    certain: int
    """The offset in this text before which `shown` is certain: a node that ends later may depend on a broken line."""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return self.report.diagnostics

    @property
    def text(self) -> str:
        return self.source.text

    def here(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where characters of the text of `shown` are in this text; None if they changed or are not certain."""
        first, last = self.change.moved(start), self.change.moved(end)
        return None if first is None or last is None or last > self.certain else (first, last)

    @cached_property
    def tree(self) -> Map:
        """The tree of the text; after an error of YAML, of the text without the line that has it, if that helps."""
        tree, problem = parse_known(self.source)
        if problem is not None:
            for source in _repaired(self.source, self.diagnostics, None):
                other, wrong = parse_known(source)
                tree = other if wrong is None else tree
        return tree if isinstance(tree, Map) else Map({}, self.network.document.net_span, False)

    @cached_property
    def documents(self) -> tuple[Document, ...]:
        """The documents of the text: its own network, then its variants."""
        names = self.network.document.variants
        return (
            self.network.document,
            *(known_document_of(from_known_source(self.source, name)[0])[0] for name in names),
        )


def snapshots(source: Source, before: Snapshot | None = None) -> Iterator[Snapshot]:
    """Read a text, and yield what is known after its own network, then after each variant, then after the claims.

    `before` is an earlier state of the same file. Nothing is raised; the limits are those of `archdsl check`.
    """
    shown: tuple[Network, Change, int] | None = None
    for report, network in check_source(source):
        shown = shown or _shown(source, network, report.diagnostics, before)
        yield Snapshot(source, report, network, *shown)


def _shown(
    source: Source, network: Network, diagnostics: tuple[Diagnostic, ...], before: Snapshot | None
) -> tuple[Network, Change, int]:
    end = len(source.text)
    same = Change(end, 0, 0)
    if network.complete:
        return network, same, end
    change = None
    if before is not None and before.shown.complete and before.certain == len(before.text):
        change = Change.between(old := before.shown.document.source.text, source.text)
        if "\n" not in old[change.start : change.old_end] and source.text.count("\n", change.start, change.new_end) < 2:
            return before.shown, change, end  # one line, or a new one, is being typed
    if parse_known(source)[1] is None:
        return network, same, end
    edited = None if before is None else Change.between(before.text, source.text).new_end
    for repaired in _repaired(source, diagnostics, edited):
        other = known_network(*from_known_source(repaired))
        if other.complete:
            return other, same, _certain(source.text, Change.between(source.text, repaired.text).start)
    if before is not None and change is not None:
        return before.shown, change, change.start
    return network, same, end


def _certain(text: str, removed: int) -> int:
    """Before which offset the nodes cannot depend on a removed line: those of `net` depend only on what is above."""
    line = text.rfind("\n", 0, removed) + 1
    sections = [match for match in _SECTION.finditer(text) if match.start() <= line]
    if not sections or (text[line : line + 1].strip(" -") and sections[-1].start() != line):
        return 0  # the line may be the start of any section
    name = sections[-1][1]
    return len(text) if name in _APART else removed if name == "net" else 0


def _repaired(source: Source, diagnostics: tuple[Diagnostic, ...], edited: int | None) -> Iterator[Source]:
    """The text without the line of the last edit, then without a line of the first error; all else stays in place."""
    first = next((d for d in diagnostics if d.severity == "error"), None)
    places = [] if first is None else [*(label.span for label in first.labels), first.span]
    offsets = [span.start for span in places if span is not None and span.source is source]
    lines: set[int] = set()
    for offset in offsets if edited is None else [edited, *offsets]:
        start = source.text.rfind("\n", 0, offset) + 1
        end = source.text.find("\n", offset)
        end = len(source.text) if end < 0 else end
        if start not in lines and source.text[start:end].strip():
            lines.add(start)
            yield Source(source.name, source.text[:start] + " " * (end - start) + source.text[end:], source.path)
