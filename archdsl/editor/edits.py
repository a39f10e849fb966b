"""Changes of a text that an editor offers: the repairs of diagnostics, and the canonical form."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.backends.spec.rewrite import Unfaithful, formatted
from archdsl.diagnostics import ArchError, Diagnostic, Edit, Fix, Source, Span
from archdsl.editor.snapshot import Change, Snapshot


def fixes(snapshot: Snapshot, start: int, end: int) -> Iterator[tuple[Diagnostic, Fix]]:
    """Yield the repairs of the diagnostics between two offsets that change this text only; safe ones come first."""
    here = []
    for d in snapshot.diagnostics:
        if d.span is not None and d.span.source is snapshot.source and d.span.start <= end and start <= d.span.end:
            here += [(d, fix) for fix in d.fixes if all(edit.span.source is snapshot.source for edit in fix.edits)]
    yield from sorted(here, key=lambda pair: not pair[1].safe)


def formatting(source: Source) -> Edit | None:
    """Return the edit that brings a text into its canonical form, as `archdsl fmt` does; None if there is none.

    The line ends of the text are kept. A text with errors is not changed.
    """
    try:
        text = formatted(source)
    except (ArchError, Unfaithful):
        return None
    if "\r\n" in source.text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    change = Change.between(source.text, text)
    if source.text == text:
        return None
    return Edit(Span(source, change.start, change.old_end), text[change.start : change.new_end])
