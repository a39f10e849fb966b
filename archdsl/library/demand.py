"""Figures that are computed only where they are asked for, because they cost time or need a measurement."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from archdsl.diagnostics import ArchError

if TYPE_CHECKING:
    from archdsl.analysis.training import TrainingCost
    from archdsl.network import Network

MANY = 1000
"""A batch at whose peak most of the memory is that of the samples."""


@lru_cache(maxsize=1)
def _step(net: Network) -> TrainingCost | None:
    """A training step of one sample in fp32 with SGD, as `params --training` counts it; None if nothing is trained."""
    from archdsl.network.training import training_cost

    try:
        return training_cost(net)
    except ArchError as problem:
        if problem.diagnostics[0].code != "E0920":
            raise
        return None


def _of_step(figure: Callable[[TrainingCost], float]) -> Callable[[Network], float | None]:
    def of(net: Network) -> float | None:
        cost = _step(net)
        return None if cost is None else figure(cost)

    return of


def _estimated_ms(net: Network) -> float:
    """The estimated time of one sample. Raises E0925 without a calibration of this machine."""
    from archdsl.timing.estimate import estimated_ms

    return estimated_ms(net)


DEMANDED: Mapping[str, Callable[[Network], float | None]] = {
    "training": _of_step(lambda cost: cost.peak_bytes),
    "sample": _of_step(lambda cost: cost.peak(MANY + 1) - cost.peak(MANY)),
    "step": _of_step(lambda cost: cost.flops),
    "estimated_ms": _estimated_ms,
}
"""By the names of their columns. A function returns None where the network has no such figure."""


def conventions(demanded: Collection[str]) -> list[tuple[str, str]]:
    """Return what the figures are: a label and a text each, for below a table."""
    out = []
    if {"training", "sample", "step"} & {*demanded}:
        text = "a step of one sample in fp32 with sgd on cuda, as `archdsl params --training` counts it"
        out.append(("training", text))
    if "estimated_ms" in demanded:
        from archdsl.timing.estimate import latest

        out.append(("estimated", latest()))
    return out
