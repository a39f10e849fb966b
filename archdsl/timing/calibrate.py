"""`archdsl.calibrate`: measure this machine for `archdsl.estimate`, in a process of its own.

`python -m archdsl.timing.calibrate` is that process.

It reads its task as one line of JSON on standard input, and writes one line of JSON after each step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import date
from math import prod
from pathlib import Path
from statistics import median
from typing import IO, Any

import numpy as np

from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_callables, check_choice, check_range
from archdsl.network import Network, loads
from archdsl.packages import require_package
from archdsl.progress import Progress, Watch, watched
from archdsl.runtime.devices import Device
from archdsl.runtime.placement import node_events
from archdsl.runtime.session import Session, Tuning, open_session, require
from archdsl.shapes import concrete
from archdsl.timing.calibration import MAX_THREADS, Calibration, Sample, cores, save, target, this_machine
from archdsl.timing.kernels import REORDERS, Kernel, kernels
from archdsl.timing.probes import OVERHEAD, PROBES
from archdsl.timing.profile import machine_rates, plain_name, run_clock
from archdsl.timing.turns import HUGE_PAGES

_STEPS = len(PROBES) + 2
_LEAST_RUNS = 3
_COMMAND = (sys.executable, "-m", "archdsl.timing.calibrate")


def calibrate(
    threads: int | None = None, *, device: Device = "cpu", seconds: float = 30.0, watch: Watch | None = None
) -> Calibration:
    """Measure this machine, keep the result in the cache, and return it; `archdsl.estimate` reads it.

    Runs small networks in ONNX Runtime with `threads` CPU threads, by default one per core, for about `seconds` (1 to
    600). A calibration holds for this CPU, this version of ONNX Runtime and this number of threads. `device` is `cpu`.

    Raises E0802 without ONNX Runtime, E0001 or E0002 for a wrong argument, E0927 if the measurement fails, E0701 if the
    cache cannot be written.
    """
    check_choice("device", device, ("cpu",))
    check_range("seconds", seconds, 1, 600, whole=False)
    check_callables(watch=watch)
    if threads is not None:
        check_range("threads", threads, 1, MAX_THREADS)
    require_package("numpy")
    require_package("onnx")
    require(device)
    machine = this_machine(threads or cores())
    target(machine)
    facts, samples = _facts(machine.threads, seconds, watched(watch, "measuring this machine"))
    calibration = Calibration(machine, date.today().isoformat(), samples=samples, **facts)
    save(calibration)
    return calibration


def _facts(threads: int, seconds: float, progress: Progress) -> tuple[dict[str, float], tuple[Sample, ...]]:
    """Run the process that measures. Raises E0927 if it fails."""
    facts: dict[str, float] = {}
    samples: list[Sample] = []
    progress(0, _STEPS)
    with tempfile.TemporaryFile() as problems, _process(problems) as process:
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):  # its exit status says more
            process.stdin.write(json.dumps({"threads": threads, "seconds": seconds}) + "\n")
            process.stdin.close()
        for number, line in enumerate(process.stdout):
            answer = json.loads(line)
            samples += [Sample(**{**row, "sizes": tuple(row["sizes"])}) for row in answer.pop("samples", ())]
            facts |= answer
            progress(number + 1, _STEPS)
        if process.wait():
            problems.seek(0)
            lines = problems.read().decode("utf-8", "replace").strip().splitlines()
            why = lines[-1][:300] if lines else f"its process exited with status {process.returncode}"
            raise error("E0927", f"the machine cannot be measured: {why}")
    return facts, tuple(samples)


@contextmanager
def _process(problems: IO[bytes]) -> Iterator[subprocess.Popen[str]]:
    """The process, which ends with this block at the latest."""
    with subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=problems,
        encoding="utf-8",
        env={**HUGE_PAGES, **os.environ},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


# --- the process -----------------------------------------------------------------------------------------


def _main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    task = json.loads(sys.stdin.readline())
    for facts in _steps(task["threads"], task["seconds"] / _STEPS):
        answers.write(json.dumps(facts) + "\n")
        answers.flush()


def _steps(threads: int, seconds: float) -> Iterator[dict[str, Any]]:
    rates = machine_rates(threads)
    yield {"macs_s": rates.macs_s, "bytes_s": rates.bytes_s}
    short, long = (_Probe(OVERHEAD.format(n), threads).run_ms(seconds / 2) for n in (10, 110))
    kernel = max(long - short, 0) / 100
    yield {"kernel_ms": kernel, "run_ms": max(short - 10 * kernel, 0)}
    for text in PROBES:
        yield {"samples": [asdict(sample) for sample in _Probe(text, threads).samples(seconds)]}


class _Probe:
    """A network that is measured."""

    def __init__(self, text: str, threads: int) -> None:
        self.net: Network = loads(textwrap.dedent(text))
        self.threads = threads
        self.clock = run_clock(threads)

    def run_ms(self, seconds: float) -> float:
        """The fastest run in milliseconds."""
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            bound = self._session(folder).bound(self._inputs())
            return min(self._repeat(bound.run, seconds))

    def samples(self, seconds: float) -> list[Sample]:
        """The time of each kernel. A profile gives their shares, a run without a profile the sum."""
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            session, inputs = self._session(folder, "profile"), self._inputs()
            self._repeat(lambda: session.run(inputs), seconds / 2)
            events = list(node_events(session.inference.end_profiling()))
        durations: dict[str, list[float]] = defaultdict(list)
        facts: dict[str, Mapping[str, Any]] = {}
        for name, event in events:
            durations[name].append(event["dur"] / 1000)
            facts[name] = event["args"]
        times = {name: min(ms) for name, ms in durations.items()}
        scale = min(1.0, self.run_ms(seconds / 2) / sum(times.values()))
        return list(self._samples({name: scale * ms for name, ms in times.items()}, facts))

    def _samples(self, times: Mapping[str, float], facts: Mapping[str, Mapping[str, Any]]) -> Iterator[Sample]:
        known = [kernel for kernel in kernels(self.net.graph) if kernel.kind not in REORDERS.values()]
        owner = {path: kernel for kernel in known for path in kernel.paths}
        spent: dict[Kernel, float] = defaultdict(float)
        for name, ms in times.items():
            if kind := REORDERS.get(facts[name]["op_name"]):
                ((_, shape),) = facts[name]["output_type_shape"][0].items()
                yield Sample(kind, 0, 2 * prod(shape), 0, (prod(shape),), ms)
            elif kernel := _owner(name, owner):
                spent[kernel] += ms
        alike: dict[Kernel, list[float]] = defaultdict(list)
        for kernel, ms in spent.items():
            alike[kernel._replace(paths=())].append(ms)
        for work, several in alike.items():
            yield Sample(*work[1:], median(several))

    def _session(self, folder: str, profile: str = "") -> Session:
        model = Path(folder) / "model.onnx"
        self.net.to_onnx(model)
        return open_session(
            model, "cpu", Tuning(threads=self.threads, profile=str(Path(folder) / profile) if profile else "")
        )

    def _inputs(self) -> dict[str, Any]:
        rng, nodes = np.random.default_rng(0), [self.net.graph.nodes[i] for i in self.net.graph.inputs]
        return {node.path: rng.standard_normal((1, *concrete(node.shape)), np.float32) for node in nodes}

    def _repeat(self, run: Callable[[], object], seconds: float) -> list[float]:
        """The milliseconds of each run after the first one."""
        run()
        times: list[float] = []
        end = time.perf_counter() + seconds
        while len(times) < _LEAST_RUNS or time.perf_counter() < end:
            start = self.clock()
            run()
            times.append(1000 * (self.clock() - start))
        return times


def _owner(name: str, owner: Mapping[str, Kernel]) -> Kernel | None:
    """The kernel of an event, which is named after a node of the spec, or after a part of one (`norm/mean`)."""
    path = plain_name(name).removeprefix("fused ")
    while path and path not in owner:
        path = path.rpartition("/")[0]
    return owner.get(path)


if __name__ == "__main__":
    _main()
