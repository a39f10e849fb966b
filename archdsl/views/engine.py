"""Runs Graphviz: the system's `dot` where there is one, else `graphviz-pure`, which pip brings along.

Both read the same text and are driven through the `graphviz` package. A drawing may take `TIME_LIMIT_S` seconds.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Literal, TypeAlias

from archdsl.diagnostics import ArchError, error

Format: TypeAlias = Literal["svg", "png", "dot"]

TIME_LIMIT_S = 10.0
PNG_DPI = 144
"""Twice the 72 points per inch of an SVG: sharp on today's screens."""


class TooSlow(Exception):
    """The layout did not end within the time limit; the process was ended."""


def engines() -> list[Path]:
    """The programs that can draw, the preferred one first: `dot`, `graphviz-pure`."""
    scripts = sysconfig.get_path("scripts")
    places = (shutil.which("dot"), shutil.which("graphviz-pure"), shutil.which("graphviz-pure", path=scripts))
    return list(dict.fromkeys(Path(place) for place in places if place))


def render(dot_text: str, format: Format = "svg", time_limit_s: float = TIME_LIMIT_S) -> bytes:
    """A drawing from DOT text; `dot` gives the text itself, without any program.

    Raises `TooSlow` when the layout takes longer than `time_limit_s`, and E0711 (status 2) where nothing here can draw.
    """
    data = dot_text.encode()
    if format == "dot":
        return data
    programs = engines()
    if not programs:
        raise _no_engine("Graphviz is not installed")
    for program in programs:
        drawn, problem = _run(program, data, format, time_limit_s)
        if drawn is not None:
            return drawn
    raise _no_engine(f"`{programs[-1].name}` cannot draw this: {problem}")


def _run(program: Path, data: bytes, format: Format, time_limit_s: float) -> tuple[bytes | None, str]:
    """What the program draws, or None and why not. On a timeout `subprocess` kills the child before it raises."""
    from graphviz.backend import dot_command, execute

    arguments = dot_command.command("dot", format)[1:]
    command = [str(program), *arguments, *([f"-Gdpi={PNG_DPI}"] if format == "png" else [])]
    try:
        done = execute.run_check(command, input=data, capture_output=True, quiet=True, timeout=time_limit_s)
    except subprocess.TimeoutExpired:
        raise TooSlow from None
    except (execute.CalledProcessError, execute.ExecutableNotFound, OSError) as problem:
        detail = getattr(problem, "stderr", None) or str(problem).encode()
        lines = [line for line in detail.decode(errors="replace").splitlines() if line and "Warning" not in line]
        return None, " ".join(lines)[:300]
    drawn: bytes = done.stdout
    return (drawn, "") if drawn else (None, "nothing was drawn")


def _no_engine(message: str) -> ArchError:
    return error(
        "E0711", message, status=2,
        help="`pip install graphviz-pure`, or write the drawing as text with `--format dot`",
    )  # fmt: skip
