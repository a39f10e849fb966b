"""Time contestants in turns, so that other load on the machine affects all of them equally."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from types import TracebackType
from typing import Any

from archdsl.diagnostics import ArchError, error
from archdsl.progress import Progress
from archdsl.timing.task import Task

ROUNDS = 10
"""Turns of each contestant. The ratio of two contestants is computed for each turn."""
_MEMORY = re.compile(
    r"MemoryError|bad_alloc|out of memory|fail\w* to allocate|(?:can't|cannot) allocate|status -9\b", re.IGNORECASE
)
"""What runtimes print if memory is short; Linux ends a process that uses too much of it with signal 9."""
_SMALLER = "the memory is too small for this network: use a smaller `input` or `batch`"
_COMMAND = (sys.executable, "-m", "archdsl.timing.worker")
_WARM_RUNS, _WARM_S = 3, 0.5
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Every process requests large memory pages. Small pages are scattered over the memory and its caches: of four
processes with the same file the first was always slower by 14 %; with large pages all took the same time."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The measurements of one contestant on one network. Times are in milliseconds, for a run of the whole batch.

    `p50_ms` is the median of the runs, `p95_ms` the 95th percentile, `spread` the range from the 5th to the 95th
    percentile as a share of the median; `samples_s` is samples per second at the median. `ratio` is the time divided by
    that of the first contestant in the same turn: median, minimum and maximum over the turns. `difference` is
    `max|a - b| / max|b|` of the outputs, `b` those of the first contestant. `peak_bytes` is the peak memory of the
    whole process, libraries included; `ready_s` is the time for loading, compiling and the first run in seconds.
    `version` is the name and version of the library.
    """

    network: str
    device: str
    contestant: str
    version: str
    batch: int
    runs: int
    warm_runs: int
    p50_ms: float
    p95_ms: float
    spread: float
    samples_s: float
    ratio: tuple[float, float, float]
    difference: float
    peak_bytes: int
    ready_s: float


class _Worker:
    """A contestant's process."""

    def __init__(self, task: Task, folder: str) -> None:
        self.task = task
        self.stderr = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  closed with the process
        self.process = subprocess.Popen(
            [*_COMMAND, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            encoding="utf-8",
            env={**HUGE_PAGES, **os.environ},
        )
        self.turns: list[list[float]] = []
        self.peak_bytes = 0
        try:
            self.facts = self.send(task.to_json())
        except BaseException:
            self.close()
            raise

    def send(self, message: dict[str, Any]) -> dict[str, Any]:
        """Sends a message and returns the answer. Raises E0810 if the process failed."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        facts: dict[str, Any] = json.loads(line) if line else {"failed": self._exit_message()}
        if "failed" in facts:
            text = f"`{self.task.contestant}` cannot run this network: {facts['failed']}"
            raise error("E0810", text, help=_SMALLER if _MEMORY.search(text) else "", status=1)
        return facts

    def run(self, times: int) -> list[float]:
        facts = self.send({"times": times})
        self.peak_bytes = facts["peak_bytes"]
        times_ms: list[float] = facts["ms"]
        return times_ms

    def warm_up(self) -> int:
        """Runs until caches are warm, and returns the number of runs."""
        runs, spent = 1, 0.0
        while runs < _WARM_RUNS or spent < 1000 * _WARM_S:
            spent += sum(self.run(1))
            runs += 1
        return runs

    def close(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.stderr.close()

    def _exit_message(self) -> str:
        status = self.process.wait()
        self.stderr.seek(0)
        lines = self.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"its process exited with status {status}" + (f": {lines[-1][:300]}" if lines else "")


class Contest:
    """Contestants on the same inputs, started one after the other; the others are compared with the first."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.workers: list[_Worker] = []
        self.failed: list[ArchError] = []

    def __enter__(self) -> Contest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.close()

    def add(self, task: Task) -> None:
        """Start a contestant. If it cannot run, its error is added to `failed`; for the first one, E0810 is raised."""
        try:
            self.workers.append(_Worker(task, self.folder))
        except ArchError as problem:
            if not self.workers:
                raise
            self.failed.append(problem)

    def timings(self, seconds: float, progress: Progress | None = None) -> list[Timing]:
        """Time all contestants in turns, `seconds` for each."""
        warm = [worker.warm_up() for worker in self.workers]
        times = [_times(worker, seconds) for worker in self.workers]
        for number in range(ROUNDS):
            order = range(len(self.workers))
            for at in [*order[number % len(order) :], *order[: number % len(order)]]:
                worker = self.workers[at]
                worker.run(1)  # the previous contestant's data is in the caches
                worker.turns.append(worker.run(times[at]))
            if progress is not None:
                progress(number + 1, ROUNDS)
        return [_timing(worker, self.workers[0], runs) for worker, runs in zip(self.workers, warm, strict=True)]


def _times(worker: _Worker, seconds: float) -> int:
    """The number of runs that fill a turn."""
    return max(1, round(1000 * seconds / ROUNDS / median(worker.run(3))))


def _timing(worker: _Worker, first: _Worker, warm: int) -> Timing:
    runs = sorted(ms for turn in worker.turns for ms in turn)
    p50 = median(runs)
    ratios = [median(a) / median(b) for a, b in zip(worker.turns, first.turns, strict=True)]
    return Timing(
        worker.task.network,
        worker.task.device,
        worker.task.contestant,
        worker.facts["version"],
        worker.task.batch,
        len(runs),
        warm,
        p50,
        _percentile(runs, 0.95),
        (_percentile(runs, 0.95) - _percentile(runs, 0.05)) / p50,
        1000 * worker.task.batch / p50,
        (median(ratios), min(ratios), max(ratios)),
        _difference(worker.facts["outputs"], first.facts["outputs"]),
        worker.peak_bytes,
        worker.facts["ready_s"],
    )


def _percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _difference(mine: str, first: str) -> float:
    """`max|a - b| / max|b|`, the maximum over the outputs; infinite if their shapes differ."""
    import numpy as np

    with np.load(mine) as a, np.load(first) as b:
        if [a[k].shape for k in a.files] != [b[k].shape for k in b.files]:
            return float("inf")
        return max(float(np.abs(a[k] - b[k]).max() / max(np.abs(b[k]).max(), 1e-30)) for k in a.files)
