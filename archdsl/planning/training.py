"""The memory in which a network is to be trained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from archdsl.analysis.training import Optimizer, Precision, TrainingCost
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_type
from archdsl.library.quantities import quantity
from archdsl.network import Network
from archdsl.network.training import cost_of_step
from archdsl.report.table import in_bytes

_LESS = 0.99
"""A measure that saves less than 1 % is not worth naming."""


def memory_bytes(net: Network, cost: TrainingCost, memory: str | int) -> int:
    """Return an amount of memory in bytes, such as `24GiB`, in which a batch of one sample fits.

    Raises E0912 for a text that is no amount of memory, E0921 if not even one sample fits: with what others need.
    """
    check_type("memory", memory, "bytes, or a text such as `24GiB`", str, int)
    amount = int(quantity(memory, "bytes", "memory")) if isinstance(memory, str) else memory
    if cost.largest_batch(amount):
        return amount
    fixed = cost.weight_bytes + cost.gradient_bytes + cost.state_bytes
    notes = ("the weights, their gradients and the state of the optimiser alone do not fit",) if fixed > amount else ()
    raise error(
        "E0921",
        f"a batch of 1 needs {in_bytes(cost.peak(1))} to train `{net.name}`, more than {in_bytes(amount)}",
        notes=notes,
        help="; ".join([*_measures(net, cost), "a smaller input or fewer channels need less"]),
    )


def _measures(net: Network, cost: TrainingCost) -> Iterator[str]:
    """What one sample needs with other options, where that is less: `1.234 GB with `--precision amp``."""
    optimizers: tuple[Optimizer, ...] = tuple(dict.fromkeys((cost.optimizer, "sgd")))
    precisions: tuple[Precision, ...] = ("fp32",) if cost.device == "cpu" else ("fp32", "amp")
    for optimizer, precision, checkpoint in product(optimizers, precisions, (False, True)):
        options = {
            "--optimizer sgd": optimizer != cost.optimizer,
            f"--precision {precision}": precision != cost.precision,
        }
        changed = [text for text, is_new in options.items() if is_new] + ["--checkpoint"] * checkpoint
        need = cost_of_step(net, 1, optimizer, precision, cost.device, checkpoint).peak(1)
        if changed and need < _LESS * cost.peak(1):
            yield f"{in_bytes(need)} with `{' '.join(changed)}`"
