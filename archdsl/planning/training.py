"""`archdsl.training_cost`: memory and work of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from archdsl.analysis.training import Device, Optimizer, Precision, TrainingCost
from archdsl.analysis.training import training_cost as cost_of
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_flags, check_range, check_type
from archdsl.library.quantities import quantity
from archdsl.network import Network
from archdsl.network.open import AnyPath, InputSize, as_network
from archdsl.report.table import in_bytes

MAX_BATCH = 2**31 - 1


def training_cost(
    spec: AnyPath | Network,
    *,
    batch: int = 1,
    optimizer: Optimizer = "sgd",
    precision: Precision = "fp32",
    device: Device = "cuda",
    checkpoint: bool = False,
    args: Mapping[str, object] | None = None,
    input: InputSize | None = None,
) -> TrainingCost:
    """Return what a training step of the PyTorch module of a network costs.

    `optimizer`: `sgd` (without momentum), `adam` or `adamw`. `precision`: `amp` is `torch.autocast` (fp16 on CUDA,
    bf16 on the CPU) with parameters in fp32. `checkpoint`: the outermost blocks run again in the backward instead of
    storing what it needs. `device`: what torch stores on it. `args` and `input` as for `load`. docs/training-cost.md
    defines what is counted.

    Raises ArchError as `load` does, E0005 for an incomplete network, E0001 for an unknown name, E0002 for the batch.
    """
    check_range("batch", batch, 1, MAX_BATCH)
    for name, value, known in (
        ("optimizer", optimizer, Optimizer),
        ("precision", precision, Precision),
        ("device", device, Device),
    ):
        check_choice(name, value, get_args(known))
    check_flags(checkpoint=checkpoint)
    net = as_network(spec, args, input)
    return _cost(net, batch, optimizer, precision, device, checkpoint)


def _cost(
    net: Network, batch: int, optimizer: Optimizer, precision: Precision, device: Device, checkpoint: bool
) -> TrainingCost:
    from archdsl.backends.torch.tape import trace

    tape = trace(net.graph, device, precision, checkpoint)
    return cost_of(tape, [node.path for node in net.nodes], batch, optimizer, precision, device)


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
        other = _cost(net, 1, cost.optimizer, precision, cost.device, checkpoint)
        if (other.precision, other.checkpoint) != (cost.precision, cost.checkpoint):
            options = " ".join(["--precision amp"] * (precision == "amp") + ["--checkpoint"] * checkpoint)
            needs.append(f"{in_bytes(other.peak(1))} with `{options}`")
    raise error(
        "E0921",
        f"a batch of 1 needs {in_bytes(cost.peak(1))} to train `{net.name}`, more than {in_bytes(amount)}",
        help="; ".join(needs) + "; or use a smaller input",
        status=1,
    )
