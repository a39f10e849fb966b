"""`archdsl fmt`: specs in short form, laid out in one way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option

if TYPE_CHECKING:
    from archdsl.diagnostics import Source


@click.command("fmt")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--check", is_flag=True, help="Write nothing, name the files that would change, exit 1 if there are any.")
@click.option("--diff", is_flag=True, help="Write nothing, show what would change.")
@color_option
@click.pass_obj
def command(console: Console, files: tuple[str, ...], check: bool, diff: bool) -> int:
    """Write specs in short form, each in its place; - formats standard input to standard output.

    Comments, the order of keys and the meaning stay: a file that would come to mean something else is left alone.
    A folder stands for its .yaml files.
    """
    if "-" in files and len(files) > 1:
        raise click.UsageError("- stands alone: it formats standard input to standard output")
    from archdsl.cli.failure import status_of
    from archdsl.diagnostics import ArchError

    status = changed = 0
    for name in _expanded(files):
        try:
            if _one(console, name, check, diff):
                changed += 1
        except ArchError as problem:  # the other files are formatted all the same
            console.tell(problem.diagnostics)
            status = max(status, status_of(problem))
    if check and changed:
        console.say(f"{changed} file{'s' if changed > 1 else ''} would change")
    return max(status, int(check and changed > 0))


def _expanded(files: tuple[str, ...]) -> Iterator[str]:
    from archdsl.diagnostics import error
    from archdsl.spec.find import SUFFIXES

    for name in files:
        if name == "-" or not os.path.isdir(name):  # unlike Path.is_dir, also where the name is too long to be one
            yield name
            continue
        inside = sorted(str(p) for p in Path(name).iterdir() if p.suffix in SUFFIXES and p.is_file())
        if not inside:
            raise error("E0114", f"there are no specs in {name}", status=2, help="a spec's name ends in .yaml")
        yield from inside


def _one(console: Console, name: str, check: bool, diff: bool) -> bool:
    """Formats one file; whether it changed, or would."""
    from archdsl.backends.spec.rewrite import formatted

    source, before = _read(name)
    text = formatted(source)
    if check and text != before:
        console.give(f"{name}\n")
    if diff and text != before:
        console.give(_difference(before, text, name))
    if not check and not diff and name == "-":
        console.give(text)
    elif not check and not diff and text != before:
        _write(name, text)
        console.say(f"formatted {name}")
    return text != before


def _read(name: str) -> tuple[Source, str]:
    """A file as a source, and its text with the byte order mark that reading drops.

    What standard input names (`labels`, `extends`) is looked for in the working directory.
    """
    from archdsl.diagnostics import Source
    from archdsl.source import read

    source = read(name)
    if name == "-":
        return Source(source.name, source.text, Path("<stdin>")), source.text
    return source, Path(name).read_bytes().decode("utf-8")


def _write(name: str, text: str) -> None:
    """Replaces the file as a whole; a link stays, and what it leads to is replaced."""
    from archdsl.files.atomic import atomic_write

    with atomic_write(Path(name).resolve(), mine=lambda path: True) as output:
        output.write(text.encode())


def _difference(before: str, after: str, name: str) -> str:
    from difflib import unified_diff

    lines = unified_diff(before.splitlines(True), after.splitlines(True), name, f"{name} (formatted)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
