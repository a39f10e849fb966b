"""Figures that are computed only where they are asked for, because they cost time or need a measurement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from archdsl.analysis.training import TrainingCost
    from archdsl.network import Network

MANY = 1000
"""A batch at whose peak most of the memory is that of the samples."""


@lru_cache(maxsize=1)
def _step(net: Network) -> TrainingCost:
    """A training step of one sample in fp32 with SGD, as `params --training` counts it."""
    from archdsl.network.training import training_cost

    return training_cost(net)


def _estimated_ms(net: Network) -> float:
    """The estimated time of one sample. Raises E0925 without a calibration of this machine."""
    from archdsl.timing.estimate import estimated_ms

    return estimated_ms(net)


DEMANDED: Mapping[str, Callable[[Network], float | None]] = {
    "training": lambda net: _step(net).peak_bytes,
    "sample": lambda net: _step(net).peak(MANY + 1) - _step(net).peak(MANY),
    "step": lambda net: _step(net).flops,
    "estimated_ms": _estimated_ms,
}
"""By the names of their columns. A function returns None where the network has no such figure."""

TRAINED = "training  a step of one sample in fp32 with sgd on cuda, as `archdsl params --training` counts it"
"""How the figures of training are counted, below a table."""
TRAINING = frozenset({"training", "sample", "step"})
