"""Spec files in canonical form, each in its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archdsl.backends.spec.rewrite import formatted
from archdsl.diagnostics import ArchError, Source
from archdsl.diagnostics.arguments import conflict
from archdsl.files.atomic import atomic_write
from archdsl.source import read
from archdsl.spec.find import spec_files


@dataclass(frozen=True, slots=True)
class FormattedFile:
    """A spec file's text `before` and `after`; `-` is standard input. A wrong spec has a `problem` and is unchanged."""

    name: str
    before: str
    after: str
    problem: ArchError | None = None

    @property
    def changed(self) -> bool:
        return self.before != self.after

    def difference(self) -> str:
        """What changes, as a unified diff; empty if nothing does."""
        from difflib import unified_diff

        lines = unified_diff(
            self.before.splitlines(True), self.after.splitlines(True), self.name, f"{self.name} (formatted)"
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def write(self) -> None:
        """Replace the file as a whole; a link stays, and its target is replaced. Raises E0701, E0704."""
        with atomic_write(Path(self.name).resolve(), replaceable=lambda path: True) as output:
            output.write(self.after.encode())


def format_files(files: Sequence[str | Path]) -> tuple[FormattedFile, ...]:
    """The canonical form of spec files; a folder is replaced by its spec files, `-` is standard input. Writes nothing.

    What is wrong with a file is in its `problem`. Raises E0003 for `-` beside other files, E0114 for a folder without
    specs.
    """
    if "-" in files and len(files) > 1:
        raise conflict("`-` formats standard input to standard output: no other file can be given with it")
    return tuple(_formatted(str(name)) for name in spec_files(files))


def _formatted(name: str) -> FormattedFile:
    try:
        source, before = _read(name)
        return FormattedFile(name, before, formatted(source))
    except ArchError as problem:
        return FormattedFile(name, "", "", problem)


def _read(name: str) -> tuple[Source, str]:
    """A file as a source, and its text with the byte order mark that reading drops.

    Files that standard input names (`labels`, `extends`) are relative to the working directory.
    """
    source = read(name)
    if name == "-":
        return Source(source.name, source.text, Path("<stdin>")), source.text
    return source, Path(name).read_bytes().decode("utf-8")
