"""The output of commands: results to standard output or a file, diagnostics and notes to standard error."""

from __future__ import annotations

import io
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

    from archdsl.diagnostics import ArchError, Diagnostic
    from archdsl.files.atomic import WrittenFile
    from archdsl.progress import Progress
    from archdsl.report.table import Style

Color: TypeAlias = Literal["auto", "always", "never"]
T = TypeVar("T")

_BAR = 24
_QUIET_S = 0.5
"""Shorter work shows no progress."""


_CONTROL = re.compile("[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that control a terminal or reverse text. archdsl prints none of them. ESC is not included, since colours
need it and it is escaped in other texts."""


def _escaped(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]


class Console:
    """The output streams of one run; `color` is the value of `--color`."""

    def __init__(self, color: Color = "auto") -> None:
        self.color: Color = color

    def paints(self, stream: TextIO) -> bool:
        """Return whether to use colours on the stream. NO_COLOR and TERM=dumb apply to `auto` only."""
        if self.color != "auto":
            return self.color == "always"
        from archdsl.diagnostics.color import takes_color

        return takes_color(stream)

    def style(self, path: str | None = None) -> Style:
        """Return the style for standard output, or for the file `path`: of any width, without colours."""
        from archdsl.report.table import Style, style_of

        if path not in (None, "-"):
            return Style(color=self.color == "always")
        terminal = style_of(sys.stdout)
        return Style(terminal.width, self.paints(sys.stdout), terminal.unicode)

    def print_diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Print diagnostics to standard error."""
        from archdsl.diagnostics import render_text

        text = render_text(tuple(diagnostics), self.paints(sys.stderr))
        if text:
            sys.stdout.flush()
            sys.stderr.write(text)

    def print_note(self, text: str) -> None:
        """Print a line to standard error."""
        sys.stdout.flush()
        sys.stderr.write(f"{text}\n")

    def print_written(self, file: WrittenFile) -> None:
        """Print path and size of a written file to standard error."""
        from archdsl.diagnostics import escape_control
        from archdsl.report.table import in_bytes

        self.print_note(f"wrote {escape_control(str(file.path))}  {in_bytes(file.size)}")

    def write_output(self, text: str, path: str | None = None, force: bool = False, inputs: Sequence[str] = ()) -> None:
        """Write a command's result to standard output (None or `-`), or completely or not at all to the file `path`."""
        if path in (None, "-"):
            with writable_stdout():
                sys.stdout.write(_CONTROL.sub(_escaped, text) if sys.stdout.isatty() else text)
                sys.stdout.flush()
        else:
            self.write_bytes(text.encode(), path, force, inputs)

    def write_bytes(self, data: bytes, path: str | None, force: bool = False, inputs: Sequence[str] = ()) -> None:
        """Write bytes as `write_output` writes text."""
        if path in (None, "-"):
            with writable_stdout():
                sys.stdout.flush()
                sys.stdout.buffer.write(data)
                sys.stdout.buffer.flush()
            return
        from archdsl.files.atomic import atomic_write

        with atomic_write(str(path), inputs=inputs, force=force) as output:
            output.write(data)

    def stream_file(self, write: Callable[[Path], T]) -> T:
        """Let `write` write a temporary file, copy it to standard output, and return the result of `write`."""
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
        """Return a progress bar to call with the done and the total number; None if standard error is no terminal."""
        return _Bar(what, sys.stderr) if sys.stderr.isatty() and os.environ.get("TERM") != "dumb" else None


@contextmanager
def writable_stdout() -> Iterator[None]:
    """Raise E0701 for a failed write to standard output, such as on a full disk."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise stdout_failure(problem) from None


def stdout_failure(problem: OSError) -> ArchError:
    """Return E0701 for a failed write to standard output, to which nothing more is written."""
    from archdsl.diagnostics import error

    drop_stdout()
    why = problem.strerror or str(problem)
    return error("E0701", f"cannot write to standard output: {why[:1].lower()}{why[1:]}", status=2)


def drop_stdout() -> None:
    """Redirect standard output to the null device, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Bar:
    """One line on the terminal, redrawn ten times a second and erased at the end."""

    def __init__(self, what: str, stream: TextIO) -> None:
        self.what, self.stream = what, stream
        self.started = self.drawn = time.monotonic()
        self.shown = False
        self.start: int | None = None

    def __call__(self, done: int, whole: int) -> None:
        now = time.monotonic()
        if self.start is None:
            self.start, self.started = done, now
        if done >= whole:
            if self.shown:
                self.stream.write("\r\x1b[K")
                self.stream.flush()
            self.shown = False
            return
        if now - self.started < _QUIET_S or now - self.drawn < 0.1:
            return
        self.drawn, self.shown = now, True
        full = _BAR * done // max(whole, 1)
        bar = "#" * full + "." * (_BAR - full)
        self.stream.write(
            f"\r{self.what} [{bar}] {100 * done // max(whole, 1):3d} %{self._pace(done, whole, now)}\x1b[K"
        )
        self.stream.flush()

    def _pace(self, done: int, whole: int, now: float) -> str:
        """The rate per second and the time left, of the amount that was not done before."""
        rate = (done - (self.start or 0)) / (now - self.started)
        if rate <= 0:
            return ""
        left = round((whole - done) / rate)
        power = max(min(int(math.log10(rate)) // 3, 3), 0)
        shown = f"{rate / 1000**power:.3g}{('', ' k', ' M', ' G')[power]}"
        hours = f"{left // 3600}:{left // 60 % 60:02}" if left >= 3600 else f"{left // 60}"
        return f"  {shown}/s, {hours}:{left % 60:02} left"
