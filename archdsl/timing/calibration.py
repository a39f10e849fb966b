"""What `bench --calibrate` measured on a machine, and the file in the cache that keeps it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import metadata
from math import isfinite, log2
from pathlib import Path
from typing import Any

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.files.atomic import NotRegular, atomic_write, check_target, make_folder, open_regular
from archdsl.files.cache import cache_folder
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.timing.kernels import Kernel

MAX_THREADS = 1024
_FORMAT = "archdsl calibration 1"
_MAX_BYTES = 1 << 22
_NEAREST, _SOFTEN = 4, 0.1
_BYTES = 4
"""Of a value in fp32."""
_LIKE = {"few channels": "conv", "pointwise": "conv", "grouped": "conv", "depthwise": "conv", "unaligned": "conv"}
_PLAIN = "add"
"""The class of an op that no sample has: it reads and writes its values."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What a calibration holds for: a CPU, its cores, threads, a version of ONNX Runtime, a device."""

    cpu: str
    cores: int
    threads: int
    runtime: str
    device: str = "cpu"

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.cpu}, {self.cores} cores, {threads}, ONNX Runtime {self.runtime}"


@dataclass(frozen=True, slots=True)
class Sample:
    """The measured time of a kernel in milliseconds, with its class and work for one sample as in `Kernel`."""

    kind: str
    macs: int
    values: int
    weights: int
    sizes: tuple[int, ...]
    ms: float


@dataclass(frozen=True, repr=False)
class Calibration(ShownAsText):
    """The rates of a machine: multiply-accumulates of large matrix products and bytes copied per second, the time of
    a run and of a kernel without work in milliseconds, and the samples. `date` is the day of the measurement."""

    machine: Machine
    date: str
    macs_s: float
    bytes_s: float
    run_ms: float
    kernel_ms: float
    samples: tuple[Sample, ...]

    def text(self, style: Style = Style()) -> str:
        kinds = len({one.kind for one in self.samples})
        return (
            f"{style.paint('head', str(self.machine))}\n"
            f"{self.macs_s / 1e9:.1f} GMAC/s of large matrix products, {self.bytes_s / 1e9:.1f} GB/s copied, "
            f"{1000 * self.kernel_ms:.2g} us per kernel, {1000 * self.run_ms:.2g} us per run\n"
            f"{len(self.samples)} samples of {kinds} classes of kernels, measured on {self.date}\n"
        )

    def data(self) -> dict[str, object]:
        """Return JSON data: the machine, the date, rates per second, times in milliseconds, and the samples."""
        return asdict(self)

    def kernel_time(self, kernel: Kernel | Sample, batch: int = 1) -> float:
        """Return the estimated time of a kernel in milliseconds."""
        return self.kernel_ms + self._roof_ms(kernel, batch) / self._efficiency(kernel.kind, kernel.sizes)

    def _roof_ms(self, work: Kernel | Sample, batch: int = 1) -> float:
        """The shortest possible time (Williams, Waterman and Patterson 2009)."""
        moved = _BYTES * (batch * work.values + work.weights)
        return 1000 * max(batch * work.macs / self.macs_s, moved / self.bytes_s)

    @cached_property
    def _known(self) -> dict[str, list[tuple[tuple[float, ...], float]]]:
        """By class: the logarithms of sizes, and the logarithm of the efficiency."""
        known: dict[str, list[tuple[tuple[float, ...], float]]] = {}
        for one in self.samples:
            own = max(one.ms - self.kernel_ms, one.ms / 10)
            known.setdefault(one.kind, []).append((_logs(one.sizes), log2(self._roof_ms(one) / own)))
        return known

    def _efficiency(self, kind: str, sizes: Sequence[int]) -> float:
        """The share of the roofline that the most similar samples of the class reach."""
        name, _, axes = kind.rpartition(" ")
        like = (kind, f"{_LIKE.get(name, name)} {axes}", f"{_LIKE.get(name, name)} 2d", _PLAIN)
        known = next((self._known[k] for k in like if k in self._known), [])
        at = _logs(sizes)
        near = sorted((_distance(at, where), value) for where, value in known if len(where) == len(at))[:_NEAREST]
        if not near:
            return 1.0
        shares = [1 / (distance + _SOFTEN) for distance, _ in near]
        logarithm = sum(share * value for share, (_, value) in zip(shares, near, strict=True)) / sum(shares)
        return float(2**logarithm)


# --- this machine ----------------------------------------------------------------------------------------


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def this_machine(threads: int) -> Machine:
    """Return the machine, without loading ONNX Runtime."""
    return Machine(_cpu(), cores(), threads, _runtime())


def _cpu() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())[:200]
    return platform.processor() or platform.machine() or "unknown CPU"


def _runtime() -> str:
    for name in ("onnxruntime", "onnxruntime-gpu"):
        with suppress(metadata.PackageNotFoundError):
            return metadata.version(name)
    return "unknown"


# --- the cache -------------------------------------------------------------------------------------------


def target(machine: Machine) -> Path:
    """Return the file of a calibration, and make its folder. Raises E0701 if it cannot be written."""
    help_ = "set ARCHDSL_CACHE to the absolute path of a folder that can be written"
    try:
        folder = _folder(machine)
        make_folder(folder)
        return check_target(folder / f"{machine.threads}.json", force=True)
    except RuntimeError:
        raise error("E0701", "there is no cache folder", help=help_, status=2) from None
    except ArchError as problem:
        raise error("E0701", problem.diagnostics[0].message, help=help_, status=2) from None


def save(calibration: Calibration) -> Path:
    """Write the calibration to the cache, and return its file. Raises E0701 or E0704 if that is not possible."""
    path = target(calibration.machine)
    with atomic_write(path, force=True) as file:
        file.write(json.dumps({"format": _FORMAT, **asdict(calibration)}).encode())
    return path


def read_calibration(threads: int | None = None) -> tuple[Calibration, tuple[Diagnostic, ...]]:
    """Return the calibration of this machine, with this number of threads or the latest of all.

    Files that are not calibrations of this machine are ignored, each with a warning (W0926). Raises E0925 if none is
    left.
    """
    found: list[tuple[float, Calibration]] = []
    warnings: list[Diagnostic] = []
    for path in _files(threads):
        try:
            calibration = _read(path)
        except (OSError, NotRegular, ValueError, TypeError, KeyError, RecursionError) as problem:
            why = "it is a calibration of another machine" if str(problem) == _FOREIGN else "it is not a calibration"
            warnings.append(Diagnostic("W0926", f"`{path}` is ignored: {why}", severity="warning"))
            continue
        found.append((path.stat().st_mtime, calibration))
    if not found:
        count = "" if threads is None else f" with {threads} thread{'s' if threads > 1 else ''}"
        raise error(
            "E0925",
            f"this machine was not calibrated{count}: the time of a network cannot be estimated",
            help=f"archdsl bench --calibrate{'' if threads is None else f' --threads {threads}'}",
            notes=tuple(warning.message for warning in warnings),
            status=2,
        )
    return max(found, key=lambda one: one[0])[1], tuple(warnings)


_FOREIGN = "another machine"


def _folder(machine: Machine) -> Path:
    """A folder for each machine, with a file for each number of threads."""
    facts = repr((machine.cpu, machine.cores, machine.runtime, machine.device))
    return cache_folder() / "calibration" / hashlib.sha256(facts.encode()).hexdigest()[:16]


def _files(threads: int | None) -> Iterator[Path]:
    with suppress(RuntimeError):
        names = "*.json" if threads is None else f"{threads}.json"
        yield from sorted(_folder(this_machine(1)).glob(names))


def _read(path: Path) -> Calibration:
    """Raises ValueError, TypeError or KeyError for a file that `save` did not write, or wrote on another machine."""
    with open_regular(path) as file:
        data = json.loads(file.read(_MAX_BYTES))
    if data.pop("format") != _FORMAT:
        raise ValueError("format")
    machine = Machine(**data.pop("machine"))
    samples = tuple(_sample(row) for row in data.pop("samples"))
    date = data.pop("date")
    _check(str, date)
    _check(float | int, *data.values(), *(one.ms for one in samples))
    if min(data["macs_s"], data["bytes_s"], *(one.ms for one in samples)) <= 0 or min(data.values()) < 0:
        raise ValueError("rates")
    if machine != this_machine(machine.threads) or path.stem != str(machine.threads):
        raise ValueError(_FOREIGN)
    return Calibration(machine, date, samples=samples, **data)


def _sample(row: Mapping[str, Any]) -> Sample:
    sample = Sample(**{**row, "sizes": tuple(row["sizes"])})
    _check(str, sample.kind)
    _check(int, sample.macs, sample.values, sample.weights, *sample.sizes)
    if min(sample.macs, *sample.sizes) < 0 or sample.values < 1 or sample.weights < 0:
        raise ValueError("work")
    return sample


def _check(kind: Any, *values: object) -> None:
    """Raises TypeError for a value of another type, ValueError for a number that is not finite."""
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise TypeError(value)
        if not isinstance(value, str) and not isfinite(value):
            raise ValueError(value)


def _logs(sizes: Sequence[int]) -> tuple[float, ...]:
    return tuple(log2(max(size, 1)) for size in sizes)


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
