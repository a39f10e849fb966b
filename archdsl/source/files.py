"""Read the text of a file or of standard input; check its encoding and characters."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from archdsl.diagnostics import ArchError, Edit, Fix, Source, Span, error
from archdsl.source.faults import short, tag_error
from archdsl.source.limits import MAX_BYTES

_MARK = "\ufeff"
NO_FILE = "give a .yaml file or the name of a network in the library"
"""The help for a file that does not exist."""


def read(path: Path | str) -> Source:
    """Return the text of a regular file, or of standard input for `-`.

    Raises E0114 if it cannot be read, E0107 if it is too large, E0108 if it is not UTF-8.
    """
    if str(path) == "-":
        try:
            return decode(sys.stdin.buffer.read(MAX_BYTES + 1), "<stdin>")
        except OSError as problem:
            raise _unreadable("standard input", problem) from None
    name = str(path)
    try:
        data = _read_regular(path)
    except (OSError, ValueError) as problem:
        raise _unreadable(name, problem) from None
    return decode(data, name, Path(path))


def _read_regular(path: Path | str) -> bytes:
    _refuse_special(Path(path).stat().st_mode, str(path))
    # The file may have been replaced since the check: without O_NONBLOCK, opening a FIFO would block.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        _refuse_special(status.st_mode, str(path))
        if status.st_size > MAX_BYTES:
            raise too_large(str(path), f"{status.st_size:,} bytes")
        return file.read(MAX_BYTES + 1)


def _refuse_special(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise error("E0114", f"cannot read {name}: it is a directory", status=2, help="give a file in it")
    if not stat.S_ISREG(mode):
        raise error("E0114", f"cannot read {name}: it is not a regular file", status=2)


def _unreadable(name: str, problem: OSError | ValueError) -> ArchError:
    help_ = ""
    if isinstance(problem, FileNotFoundError | NotADirectoryError):
        why, help_ = "there is no such file", NO_FILE
    elif isinstance(problem, PermissionError):
        why = "permission denied"
    else:
        why = (problem.strerror or str(problem)) if isinstance(problem, OSError) else str(problem)
    return error("E0114", f"cannot read {short(name) if len(name) > 200 else name}: {why}", status=2, help=help_)


def too_large(name: str, size: str, span: Span | None = None) -> ArchError:
    return error("E0107", f"{name} is too large: {size}, the limit is {MAX_BYTES // 1024 // 1024} MiB", span)


def decode(data: bytes, name: str, path: Path | None = None) -> Source:
    """Decode the bytes of a spec; a byte order mark is kept apart from the text.

    Raises E0107 for more than 4 MiB, E0108 (with the position) for bytes that are not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise too_large(name, f"more than {MAX_BYTES:,} bytes")
    try:
        whole = data.decode("utf-8")
        text = whole.removeprefix(_MARK)
        return Source(name, text, path, whole[: len(whole) - len(text)])
    except UnicodeDecodeError as problem:
        source = Source(name, data.decode("utf-8", "replace"), path)
        at = len(data[: problem.start].decode("utf-8"))
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            message = "this file is UTF-16, not UTF-8"
        else:
            message = f"byte 0x{data[problem.start]:02x} is not UTF-8"
        raise error("E0108", message, Span(source, at, at + 1), help="save the file as UTF-8") from None


# Characters that no spec needs. Lone carriage returns, NEL, LS and PS are line breaks in YAML 1.1 but not in editors:
# with them, line numbers would be ambiguous.
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]|\r(?!\n)")


def check_text(source: Source) -> None:
    """Raise E0107 for a text that is too long, E0108 for a forbidden character, E0103 for a %TAG directive."""
    if len(source.text) > MAX_BYTES:
        raise too_large(source.name, f"{len(source.text):,} characters", Span(source, 0, 0))
    match = FORBIDDEN.search(source.text)
    if match:
        raise forbidden_character(match.group(), Span(source, match.start(), match.end()))
    # libyaml compares every %TAG with all earlier ones, which takes minutes for a file full of them.
    at = 0
    for line in lines(source.text, 0):
        if line.strip() and not line.startswith(("#", "%")):
            break
        if line.startswith("%TAG"):
            raise tag_error(Span(source, at, at + 4))
        at += len(line)


def forbidden_character(char: str, span: Span) -> ArchError:
    help_ = "is this a text file in UTF-8?" if char == "\0" else ""
    what = f"the character U+{ord(char):04X} is not allowed in a spec"
    # A lone carriage return ends a line in YAML, and a byte order mark has no meaning.
    text, title = ("\n", "end the line here") if char == "\r" else ("", f"remove U+{ord(char):04X}")
    fix = Fix(title, (Edit(span, text),), safe=char in "\r\ufeff")
    return error("E0108", what, span, help=help_, fixes=(fix,) if span.text == char else ())


def lines(text: str, start: int) -> Iterator[str]:
    """Yield the lines from `start` on, with their line ends."""
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield text[start:end]
        start = end
