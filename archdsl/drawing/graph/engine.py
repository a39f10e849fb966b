"""Run Graphviz: the system's `dot` if it is installed, else `graphviz-pure`, which pip installs with archdsl.

Both read the same text and run through the `graphviz` package in a separate process, which is killed after a time
limit.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

from archdsl.diagnostics import ArchError, error
from archdsl.drawing.request import TIME_LIMIT_S


class TooSlow(Exception):
    """The layout exceeded its time limit, and its process was killed."""


def engines() -> list[Path]:
    """Return the installed layout programs, the preferred one first: `dot`, `graphviz-pure`."""
    scripts = sysconfig.get_path("scripts")
    places = (shutil.which("dot"), shutil.which("graphviz-pure"), shutil.which("graphviz-pure", path=scripts))
    return list(dict.fromkeys(Path(place) for place in places if place))


def run(dot_text: str, format: str = "json0", time_limit_s: float = TIME_LIMIT_S) -> bytes:
    """Run Graphviz on DOT text and return its output; the format `json0` contains the positions.

    Raises `TooSlow` if the layout takes longer than `time_limit_s`, and E0711 (status 2) if no program is installed or
    none can lay out the text.
    """
    programs = engines()
    if not programs:
        raise _no_engine("Graphviz is not installed")
    for program in programs:
        output, problem = _run(program, dot_text.encode(), format, time_limit_s)
        if output is not None:
            return output
    raise _no_engine(f"`{programs[-1].name}` failed: {problem}")


def _run(program: Path, data: bytes, format: str, time_limit_s: float) -> tuple[bytes | None, str]:
    """Return the output, or None and the reason. On a timeout `subprocess` kills the child before it raises."""
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
    output: bytes = done.stdout
    return (output, "") if output else (None, "it printed nothing")


def _no_engine(message: str) -> ArchError:
    return error(
        "E0711",
        message,
        status=2,
        help="`pip install graphviz-pure`, or write DOT text with `--format dot`",
    )
