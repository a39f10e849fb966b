"""Fixes: edits of a source that repair what a diagnostic reports."""

from __future__ import annotations

import re
from dataclasses import dataclass

from archdsl.diagnostics.place import Span


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the characters of `span` by `text`; an empty span inserts, an empty text removes."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair: edits that are applied together. `title` is an imperative, as in ``replace `strid` by `stride` ``.

    A `safe` fix has one reading and keeps the meaning of all that was valid. Others guess, or change the network.
    """

    title: str
    edits: tuple[Edit, ...]
    safe: bool


class Proposal(str):
    """A help line with a text to write: `right` in place of `wrong`, or of all that the diagnostic points at."""

    right: str
    wrong: str | None
    safe: bool

    def __new__(cls, help: str, right: str, wrong: str | None = None, safe: bool = False) -> Proposal:
        self = super().__new__(cls, help)
        self.right, self.wrong, self.safe = right, wrong, safe
        return self

    def fixes(self, span: Span) -> tuple[Fix, ...]:
        """Return the fix at a span; none if `wrong` is not there exactly once, for instance as it has escapes."""
        if self.wrong is None:
            return (replacing(span, _apart(span, self.right), safe=self.safe),)
        before, after = (rf"(?{side}\w)" if self.wrong[end].isalnum() else "" for side, end in (("<!", 0), ("!", -1)))
        found = [*re.finditer(f"{before}{re.escape(self.wrong)}{after}", span.text)]
        if len(found) != 1:
            return ()
        start, end = found[0].span()
        place = Span(span.source, span.start + start, span.start + end)
        return (replacing(place, self.right, safe=self.safe),)


def _apart(span: Span, text: str) -> str:
    """The text, with a space where a word such as `and` would touch another."""
    around = span.source.text[max(span.start - 1, 0) : span.start], span.source.text[span.end : span.end + 1]
    left, right = (" " if text.isalpha() and re.match(r"\w", char) else "" for char in around)
    return f"{left}{text}{right}"


def replacing(span: Span, text: str, *, safe: bool = False) -> Fix:
    """Return the fix that writes `text` in place of a span; an empty text removes it."""
    old, new = (" ".join(part.split())[:60] for part in (span.text, text))
    title = f"replace `{old}` by `{new}`" if old and new else f"remove `{old}`" if old else f"insert `{new}`"
    return Fix(title, (Edit(span, text),), safe)


def removing(key: str, value: Span, *, safe: bool = False) -> tuple[Fix, ...]:
    """Return the fix that removes an entry of a mapping: its whole lines, or inside brackets with one comma.

    There is none if the key is not directly before its value, or no comma separates the entry from others on its line.
    """
    text, (source, start, end) = value.source.text, value
    name = re.search(rf"(?<![\w.-])[\"']?{re.escape(key)}[\"']?\s*:\s*\Z", text[max(start - 200, 0) : start])
    if name is None:
        return ()
    start -= len(name[0])
    line = text.rfind("\n", 0, start) + 1
    rest = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)").match(text, end)
    comma = re.compile(r"\s*,[ \t]*").match(text, end)
    before = len(text[:start].rstrip())
    if rest is not None and not text[line:start].strip(" \t"):
        place = Span(source, line, rest.end())
    elif text[before - 1 : before] == ",":
        place = Span(source, before - 1, end)
    elif comma is not None:
        place = Span(source, start, comma.end())
    elif text[before - 1 : before] == "{" and text[end:].lstrip()[:1] == "}":
        place = Span(source, start, end)
    else:
        return ()
    return (Fix(f"remove `{' '.join(text[start:end].split())[:60]}`", (Edit(place, ""),), safe),)
