"""Where a command's words go: results to standard output or a file, everything else to standard error."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.diagnostics import Diagnostic
    from archdsl.files.atomic import WrittenFile
    from archdsl.report.table import Style

Color: TypeAlias = Literal["auto", "always", "never"]
Progress: TypeAlias = Callable[[int, int], None]
T = TypeVar("T")

_BAR = 24
_QUIET_S = 0.5
"""Work that ends sooner shows no progress."""


_STEERING = re.compile("[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""What would steer a terminal, or turn text around, and is never ours. (ESC is: a text of anybody's has it escaped
already.)"""


def _shown(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


class Console:
    """One for each run; `color` is what `--color` says."""

    def __init__(self, color: Color = "auto") -> None:
        self.color: Color = color

    def paints(self, stream: TextIO) -> bool:
        """Whether to colour what goes to the stream. NO_COLOR and TERM=dumb count only for `auto`."""
        if self.color != "auto":
            return self.color == "always"
        from archdsl.diagnostics.color import takes_color

        return takes_color(stream)

    def style(self, path: str | None = None) -> Style:
        """How to lay out text for standard output, or for the file `path`: as wide as needed, without colours."""
        from archdsl.report.table import Style, style_of

        if path not in (None, "-"):
            return Style(color=self.color == "always")
        terminal = style_of(sys.stdout)
        return Style(terminal.width, self.paints(sys.stdout), terminal.unicode)

    def tell(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Diagnostics, on standard error."""
        from archdsl.diagnostics import render_text

        text = render_text(tuple(diagnostics), self.paints(sys.stderr))
        if text:
            sys.stdout.flush()
            sys.stderr.write(text)

    def say(self, text: str) -> None:
        """A line beside the result, on standard error."""
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")

    def wrote(self, file: WrittenFile) -> None:
        """A line about a file that was written, on standard error."""
        from archdsl.diagnostics import escape_control
        from archdsl.report.table import in_bytes

        self.say(f"wrote {escape_control(str(file.path))}  {in_bytes(file.size)}")

    def murmur(self, text: str) -> None:
        """A line that only somebody who waits at a terminal wants to read."""
        if sys.stderr.isatty():
            self.say(text)

    def give(self, text: str, path: str | None = None, force: bool = False, inputs: Sequence[str] = ()) -> None:
        """A command's result: to standard output, or whole into the file `path` (`-`: standard output)."""
        if path in (None, "-"):
            with writable_stdout():
                sys.stdout.write(_STEERING.sub(_shown, text) if sys.stdout.isatty() else text)
                sys.stdout.flush()
        else:
            self.give_bytes(text.encode(), path, force, inputs)

    def give_bytes(self, data: bytes, path: str | None, force: bool = False, inputs: Sequence[str] = ()) -> None:
        """The same for bytes."""
        if path in (None, "-"):
            with writable_stdout():
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            return
        from archdsl.files.atomic import atomic_write

        with atomic_write(str(path), inputs=inputs, force=force) as output:
            output.write(data)

    def give_file(self, write: Callable[[Path], T]) -> T:
        """The file that `write` makes at a temporary path, to standard output; returns what `write` returns."""
        import shutil
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            path = Path(folder) / "file"
            result = write(path)
            with path.open("rb") as file, writable_stdout():
                sys.stdout.flush()
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
        return result

    def progress(self, what: str) -> Progress | None:
        """Something to call with what is done and what there is in all, where standard error is a terminal."""
        return _Bar(what, sys.stderr) if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None


@contextmanager
def writable_stdout() -> Iterator[None]:
    """A full disk behind standard output, said as for any other file."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        from archdsl.diagnostics import error

        drop_stdout()
        why = problem.strerror or str(problem)
        raise error("E0701", f"cannot write to standard output: {why[:1].lower()}{why[1:]}", status=2) from None


def drop_stdout() -> None:
    """Nothing more can be written there, and not even the interpreter, when it ends, may try."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Bar:
    """One line on the terminal, redrawn ten times a second and wiped at the end."""

    def __init__(self, what: str, stream: TextIO) -> None:
        self.what, self.stream = what, stream
        self.begun = self.drawn = time.monotonic()
        self.shown = False

    def __call__(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if done >= whole:
            if self.shown:
                self.stream.write("\r\x1b[K")
                self.stream.flush()
            self.shown = False
            return
        if now - self.begun < _QUIET_S or now - self.drawn < 0.1:
            return
        self.drawn, self.shown = now, True
        full = _BAR * done // max(whole, 1)
        bar = "#" * full + "." * (_BAR - full)
        self.stream.write(f"\r{self.what} [{bar}] {100 * done // max(whole, 1):3d} %\x1b[K")
        self.stream.flush()
