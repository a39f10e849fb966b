"""`archdsl fmt`: spec files in canonical form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.backends.spec.rewrite import formatted
from archdsl.diagnostics import ArchError, Source
from archdsl.diagnostics.arguments import conflict
from archdsl.files.rewrite import difference, rewrite
from archdsl.source import read
from archdsl.spec.find import spec_files


@dataclass(frozen=True, slots=True)
class FormattedFile:
    """The text of a spec file `before` and `after` formatting; `-` is standard input.

    An invalid spec has a `problem`, and is not changed.
    """

    name: str
    before: str
    after: str
    problem: ArchError | None = None

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def difference(self) -> str:
        """Return the changes as a unified diff; empty if there are none."""
        return difference(self.name, self.before, self.after, "formatted")

    def write(self) -> None:
        """Replace the file atomically; of a link, the target. Raises E0701 or E0704 if it cannot be written."""
        rewrite(self.name, self.before, self.after)


def format_files(files: Sequence[str | Path]) -> tuple[FormattedFile, ...]:
    """Return the canonical form of spec files; writes nothing. A folder means its spec files, `-` standard input.

    Errors in a spec are in its `problem`. Raises E0003 for `-` together with other files, E0114 for a folder without
    specs.
    """
    if "-" in files and len(files) > 1:
        raise conflict("`-` formats standard input to standard output: it cannot be combined with files")
    return tuple(_formatted(str(name)) for name in spec_files(files))


def _formatted(name: str) -> FormattedFile:
    try:
        source, before = _read(name)
        return FormattedFile(name, before, formatted(source))
    except ArchError as problem:
        return FormattedFile(name, "", "", problem)


def _read(name: str) -> tuple[Source, str]:
    """A file as a source, and its text including a byte order mark.

    Paths in a spec from standard input (`labels`, `extends`) are relative to the working directory.
    """
    source = read(name)
    if name == "-":
        source = Source(source.name, source.text, Path("<stdin>"))
    return source, source.mark + source.text
