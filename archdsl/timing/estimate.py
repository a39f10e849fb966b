"""`archdsl.estimate`: the time of a run of networks, estimated from a calibration of this machine. Nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from archdsl.diagnostics import Diagnostic
from archdsl.diagnostics.arguments import check_mappings, check_range
from archdsl.diagnostics.machine import to_json
from archdsl.network import Network, as_network
from archdsl.report.grid import grid, markdown_grid
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.spec.patterns import expanded
from archdsl.timing.calibration import MAX_THREADS, Calibration, read_calibration
from archdsl.timing.kernels import kernels

MAX_BATCH = 4096
_TITLES = ("network", "batch", "estimated ms", "kernels")


@dataclass(frozen=True, slots=True)
class Estimate:
    """The estimated time of a run of the whole batch in milliseconds, the sum over so many kernels."""

    network: str
    batch: int
    estimated_ms: float
    kernels: int


@dataclass(frozen=True, slots=True, repr=False)
class EstimateResult(ShownAsText):
    """Estimates in the order of the sources and batches, with the calibration that they come from.

    `notes` are warnings about files of the cache that are no calibrations (W0926).
    """

    estimates: tuple[Estimate, ...]
    calibration: Calibration
    notes: tuple[Diagnostic, ...] = ()

    def data(self) -> dict[str, object]:
        """Return JSON data: `estimates`, and the `machine` and the `date` of the calibration."""
        return {
            "estimates": [asdict(one) for one in self.estimates],
            "machine": asdict(self.calibration.machine),
            "date": self.calibration.date,
            "notes": to_json(self.notes),
        }

    def text(self, style: Style = Style()) -> str:
        return f"{grid(_TITLES, self._rows, {*_TITLES[1:]}, style)}\n{self._source}\n"

    def markdown(self) -> str:
        """Return the same table in Markdown."""
        return f"{markdown_grid(_TITLES, self._rows, {*_TITLES[1:]})}\n{self._source}\n"

    @property
    def _rows(self) -> list[tuple[str, ...]]:
        return [(one.network, str(one.batch), f"{one.estimated_ms:.3g}", str(one.kernels)) for one in self.estimates]

    @property
    def _source(self) -> str:
        return f"estimated, {_not_measured(self.calibration)}"


def estimate(
    source: str | Path | Network,
    *more: str | Path | Network,
    batch: int | Sequence[int] = 1,
    threads: int | None = None,
    args: Mapping[str, object] | None = None,
    input: str | Sequence[int] | None = None,
) -> EstimateResult:
    """Estimate the time of networks in ONNX Runtime on this CPU, without weights and without running them.

    The estimate adds the times of the kernels that ONNX Runtime would run in float32. It needs a calibration of this
    machine (`archdsl.calibrate`); `threads` selects one, the default is the latest. A source is a SPEC or a `Network`;
    `batch` is the number of samples per run, `args` and `input` are those of `load`. docs/guides/estimate.md reports
    the errors.

    Raises E0925 without a calibration, E0002 for a wrong batch, and the errors of `load`.
    """
    check_mappings(args=args)
    batches = tuple(dict.fromkeys(batch)) if isinstance(batch, Sequence) else (batch,)
    for one in batches or ((),):
        check_range("batch", one, 1, MAX_BATCH)
    if threads is not None:
        check_range("threads", threads, 1, MAX_THREADS)
    calibration, notes = read_calibration(threads)
    networks = (as_network(one, args, input) for one in expanded((source, *more)))
    estimates = [estimate_of(net, size, calibration) for net in networks for size in batches]
    return EstimateResult(tuple(estimates), calibration, notes)


def estimate_of(network: Network, batch: int, calibration: Calibration) -> Estimate:
    """Return the estimate of a network. Raises E0005 if it is incomplete."""
    work = kernels(network.whole)
    total = calibration.run_ms + sum(calibration.kernel_time(kernel, batch) for kernel in work)
    return Estimate(network.name, batch, total, len(work))


def estimated_ms(network: Network) -> float:
    """Return the estimated time of one sample with the latest calibration. Raises E0925 without one."""
    return estimate_of(network, 1, _latest()[0]).estimated_ms


def latest() -> str:
    """Return of which calibration `estimated_ms` is."""
    return _not_measured(_latest()[0])


def _not_measured(calibration: Calibration) -> str:
    return f"not measured: calibration of {calibration.date}; {calibration.machine}"


_latest = cache(read_calibration)
