"""Runs Graphviz: the system's `dot` where there is one, else `graphviz-pure`, which pip brings along.

Both read the same text and are driven through the `graphviz` package, in a process of their own that is ended when its
time is up.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from archdsl.diagnostics import ArchError, error
from archdsl.drawing.request import TIME_LIMIT_S


class TooSlow(Exception):
    """The layout did not end within the time limit; the process was ended."""


def engines() -> list[Path]:
    """The programs that can lay out, the preferred one first: `dot`, `graphviz-pure`."""
    scripts = sysconfig.get_path("scripts")
    places = (shutil.which("dot"), shutil.which("graphviz-pure"), shutil.which("graphviz-pure", path=scripts))
    return list(dict.fromkeys(Path(place) for place in places if place))


def run(dot_text: str, format: str = "json0", time_limit_s: float = TIME_LIMIT_S) -> bytes:
    """What Graphviz makes of DOT text; `json0` is where everything lies.

    Raises `TooSlow` when the layout takes longer than `time_limit_s`, and E0711 (status 2) where nothing here can draw.
    """
    programs = engines()
    if not programs:
        raise _no_engine("Graphviz is not installed")
    for program in programs:
        made, problem = _run(program, dot_text.encode(), format, time_limit_s)
        if made is not None:
            return made
    raise _no_engine(f"`{programs[-1].name}` cannot draw this: {problem}")


def _run(program: Path, data: bytes, format: str, time_limit_s: float) -> tuple[bytes | None, str]:
    """What the program prints, or None and why not. On a timeout `subprocess` kills the child before it raises."""
    from graphviz.backend import dot_command, execute

    command = [str(program), *dot_command.command("dot", format)[1:]]
    try:
        done = execute.run_check(command, input=data, capture_output=True, quiet=True, timeout=time_limit_s)
    except subprocess.TimeoutExpired:
        raise TooSlow from None
    except (execute.CalledProcessError, execute.ExecutableNotFound, OSError) as problem:
        detail = getattr(problem, "stderr", None) or str(problem).encode()
        lines = [line for line in detail.decode(errors="replace").splitlines() if line and "Warning" not in line]
        return None, " ".join(lines)[:300]
    made: bytes = done.stdout
    return (made, "") if made else (None, "nothing was drawn")


def _no_engine(message: str) -> ArchError:
    return error(
        "E0711",
        message,
        status=2,
        help="`pip install graphviz-pure`, or write the drawing as text with `--format dot`",
    )
