"""The memory in which a network is to be trained."""

from __future__ import annotations

from archdsl.analysis.training import Precision, TrainingCost
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_type
from archdsl.library.quantities import quantity
from archdsl.network import Network
from archdsl.network.training import cost_of_step
from archdsl.report.table import in_bytes


def memory_bytes(net: Network, cost: TrainingCost, memory: str | int) -> int:
    """Return an amount of memory in bytes, such as `24GiB`, in which a batch of one sample fits.

    Raises E0912 for a unit that is none of memory, E0921 if not even one sample fits: with what each measure needs.
    """
    check_type("memory", memory, "bytes, or a text such as `24GiB`", str, int)
    amount = int(quantity(memory, "bytes", "memory")) if isinstance(memory, str) else memory
    if isinstance(memory, str) and memory.strip().isdigit() and amount < 10**6:
        raise error("E0921", f"`{memory}` has no unit, so it is {amount} bytes", help="write `24GiB`", status=2)
    if cost.largest_batch(amount):
        return amount
    needs = []
    others: tuple[tuple[Precision, bool], ...] = (("fp32", True), ("amp", False), ("amp", True))
    for precision, checkpoint in others:
        other = cost_of_step(net, 1, cost.optimizer, precision, cost.device, checkpoint)
        if (other.precision, other.checkpoint) != (cost.precision, cost.checkpoint):
            options = " ".join(["--precision amp"] * (precision == "amp") + ["--checkpoint"] * checkpoint)
            needs.append(f"{in_bytes(other.peak(1))} with `{options}`")
    raise error(
        "E0921",
        f"a batch of 1 needs {in_bytes(cost.peak(1))} to train `{net.name}`, more than {in_bytes(amount)}",
        help="; ".join(needs) + "; or use a smaller input",
        status=1,
    )
