"""`archdsl.bench`: time networks in ONNX Runtime, alone or against other runtimes and exporters."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from archdsl.backends.onnx.half_precision import DTYPES, Precision
from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import (
    check_callables,
    check_choice,
    check_flags,
    check_mappings,
    check_range,
    conflict,
)
from archdsl.packages import require_package
from archdsl.progress import Watch, watched
from archdsl.runtime import doctor
from archdsl.runtime.devices import Device, place_of
from archdsl.runtime.session import not_started, require
from archdsl.spec.patterns import expanded
from archdsl.timing.calibration import MAX_THREADS, cores
from archdsl.timing.contestants import CONTESTANTS, OTHERS, OtherName
from archdsl.timing.estimate import MAX_BATCH
from archdsl.timing.networks import Settings, Source, check_source, task_of
from archdsl.timing.profile import Profile
from archdsl.timing.profile import profile as profile_of
from archdsl.timing.result import BenchResult
from archdsl.timing.task import Task
from archdsl.timing.turns import Contest, Timing

LEAST_SECONDS, MOST_SECONDS = 0.1, 600.0


def bench(
    source: Source,
    *more: Source,
    against: OtherName | Sequence[OtherName] = (),
    batch: int | Sequence[int] = 1,
    device: Device | Sequence[Device] = "cpu",
    weights: str | Path | Mapping[str, object] | None = None,
    precision: Precision = "fp32",
    seconds: float = 3.0,
    threads: int | None = None,
    profile: bool = False,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
    watch: Watch | None = None,
) -> BenchResult:
    """Time networks, each as an ONNX file in ONNX Runtime and in every contestant of `against`.

    A source is a SPEC, the path of a compiled model (`.onnx`), or a `Network`. Each contestant runs in its own process;
    they take turns, `seconds` each, on the same standard normal samples in the memory of the device. `against` names
    contestants (`torch`, `channels_last`, `compile`, `traced`, `slimmed`, `openvino`); `batch` is the number of samples
    per run (1 to 4,096), `device` is `cpu`, `cuda`, `cuda:1` (the second GPU) or `tensorrt`, `precision` is `fp32`,
    `fp16` or `bf16`. `threads` is the number of CPU threads, by default one per core. `weights` is the source of
    `Network.weights`, by default random; `args` and `input` are those of `load`, and `input` also sets the free sizes
    of a compiled model (`3x224x224`).

    With `profile` the result has no timings, but the time and the roofline of each node on the CPU.

    A contestant that cannot run is one of the result's `failures` (E0810); the others are timed.

    Raises E0001 or E0002 for an argument with a wrong value, E0003 for arguments that exclude each other, E0801, E0802
    or E0807 for a missing package, E0803 for a device that does not start, E0805 or E0806 for a compiled model that
    cannot be timed, E0810 if archdsl's own file cannot run; the errors of `load`, `Network.weights` and
    `Network.to_onnx` for a spec.
    """
    check_mappings(args=args)
    check_flags(profile=profile)
    check_callables(watch=watch)
    batches: tuple[int, ...] = _values(batch)
    devices: tuple[Device, ...] = _values(device)
    others: tuple[OtherName, ...] = _values(against)
    _check_values(batches, devices, others, precision, seconds, threads)
    modules = any(name != "openvino" for name in others)
    settings = Settings(args or {}, input, weights, precision, threads or cores(), modules)
    sources = expanded((source, *more))
    _check_together(sources, settings, devices, others, profile)
    _require(devices, others)
    run = _Benchmark(settings, batches, devices, watch)
    if profile:
        run.profile(sources)
    else:
        run.time(sources, others, seconds)
    return run.result()


# --- checks ----------------------------------------------------------------------------------------------


def _values(value: object) -> tuple[Any, ...]:
    """The distinct values of a parameter that accepts one or several."""
    if isinstance(value, str) or not isinstance(value, Collection):
        return (value,)
    values = list(value)
    return tuple(one for number, one in enumerate(values) if one not in values[:number])


def _check_values(
    batches: Sequence[int],
    devices: Sequence[str],
    others: Sequence[str],
    precision: str,
    seconds: float,
    threads: int | None,
) -> None:
    for batch in batches or ((),):
        check_range("batch", batch, 1, MAX_BATCH)
    for device in devices or ("",):
        place_of(device, auto=False)
    for name in others:
        check_choice("against", name, OTHERS)
    check_choice("precision", precision, DTYPES)
    check_range("seconds", seconds, LEAST_SECONDS, MOST_SECONDS, whole=False)
    if threads is not None:
        check_range("threads", threads, 1, MAX_THREADS)


def _check_together(
    sources: Sequence[Source], settings: Settings, devices: Sequence[str], others: Sequence[str], profile: bool
) -> None:
    """Raises E0003 for arguments that exclude each other."""
    if profile and (others or tuple(devices) != ("cpu",)):
        raise conflict("`profile` times the nodes of one file on the CPU", "leave out `against` and `device`")
    if settings.weights is not None and len(sources) > 1:
        raise conflict("`weights` belong to one network", help="time one network at a time")
    for name in others:
        if not CONTESTANTS[name].gpu and tuple(devices) != ("cpu",):
            raise conflict(f"`{name}` runs on the CPU only", help="leave out `device`")
    for source in sources:
        check_source(source, settings)


def _require(devices: Sequence[Device], others: Sequence[str]) -> None:
    """Raises E0801, E0802, E0803 or E0807 for missing packages and devices, before any work starts."""
    require_package("numpy")
    require_package("onnx")
    for device in devices:
        require(device)
        place = place_of(device)
        if place.on_gpu and not (provider := doctor.probe_provider(place.provider, place.number)).works:
            raise not_started(provider.name, provider.detail.removeprefix("does not start: "))
    for name in others:
        for package in CONTESTANTS[name].packages:
            code = "E0801" if package == "torch" else "E0807"
            require_package(package, code, f"pip install {package}, for the contestant `{name}`")


# --- the run ---------------------------------------------------------------------------------------------


class _Benchmark:
    """Times or profiles one network after the other, and collects the results."""

    def __init__(self, settings: Settings, batches: Sequence[int], devices: Sequence[str], watch: Watch | None) -> None:
        self.settings, self.batches, self.devices, self.watch = settings, batches, devices, watch
        self.timings: list[Timing] = []
        self.profiles: list[Profile] = []
        self.failures: list[Diagnostic] = []
        self.notes: list[Diagnostic] = []

    def time(self, sources: Sequence[Source], others: Sequence[str], seconds: float) -> None:
        """Times archdsl's file and the contestants `others`, `seconds` each."""
        for source in sources:
            with self._tasks(source) as (folder, tasks):
                for task in tasks:
                    self._contest([task, *(replace(task, contestant=name) for name in others)], folder, seconds)

    def profile(self, sources: Sequence[Source]) -> None:
        for source in sources:
            with self._tasks(source) as (_, tasks):
                self.profiles += [profile_of(task) for task in tasks]

    def result(self) -> BenchResult:
        return BenchResult(
            self.settings.threads,
            tuple(self.timings),
            tuple(self.profiles),
            tuple(self.failures),
            tuple(self.notes),
        )

    @contextmanager
    def _tasks(self, source: Source) -> Iterator[tuple[str, list[Task]]]:
        """A folder for files, removed at the end, and a task for each device and batch."""
        with tempfile.TemporaryDirectory(prefix="archdsl-") as folder:
            sample, notes = task_of(source, self.settings, Path(folder), self.watch)
            self.notes += notes
            yield (
                folder,
                [
                    replace(sample, device=device, shapes={n: (batch, *shape) for n, shape in sample.shapes.items()})
                    for device in self.devices
                    for batch in self.batches
                ],
            )

    def _contest(self, tasks: Sequence[Task], folder: str, seconds: float) -> None:
        title = f"{tasks[0].network}, batch {tasks[0].batch}, {tasks[0].device}"
        with Contest(folder) as contest:
            starting = watched(self.watch, f"starting {title}")
            for number, task in enumerate(tasks):
                starting(number, len(tasks))
                contest.add(task)
            starting(len(tasks), len(tasks))
            self.failures += [diagnostic for problem in contest.failed for diagnostic in problem.diagnostics]
            self.timings += contest.timings(seconds, watched(self.watch, f"timing {title}"))
