"""Measure whole processes: wall time, CPU time, peak memory. Needs a Unix (`os.wait4`)."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class Run(NamedTuple):
    """One process from start to end. `cpu_s` is the CPU time of all its threads, user and system."""

    wall_s: float
    cpu_s: float
    peak_bytes: int


def run(command: Sequence[str], cwd: Path | None = None) -> Run:
    """Run a command once and discard its output. Raises RuntimeError if it fails."""
    import time

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd=cwd or ROOT)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit status {process.returncode}: {' '.join(command)[:200]}")
    return Run(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT)


def interleaved(commands: Mapping[str, Sequence[str]], rounds: int, cwd: Path | None = None) -> dict[str, Run]:
    """Return the medians of `rounds` runs of each command, in turns, after one run that warms the caches."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            one = run(command, cwd)
            runs[name] += [one] if number else []
    return {name: Run(*(median(column) for column in zip(*many, strict=True))) for name, many in runs.items()}


def missing(*packages: str) -> list[str]:
    """Return the packages that are not installed."""
    from importlib.util import find_spec

    return [name for name in packages if find_spec(name) is None]


def machine(*packages: str) -> str:
    """Return the environment in one line: system, cores, Python, versions of packages."""
    versions = [f"{name} {metadata.version(name)}" for name in packages if not missing(name.replace("pyyaml", "yaml"))]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.system()}, {cores} cores, Python {platform.python_version()}, {', '.join(versions)}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, the first column aligned left and the others right."""
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = [
        [cell.ljust(w) if n == 0 else cell.rjust(w) for n, (cell, w) in enumerate(zip(row, widths, strict=True))]
        for row in (head, *rows)
    ]
    rule = ["-" * w if n == 0 else "-" * (w - 1) + ":" for n, w in enumerate(widths)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])
