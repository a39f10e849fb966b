"""`archdsl.training_cost`: memory and work of a training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from archdsl.analysis.training import Device, Optimizer, Precision, TrainingCost
from archdsl.analysis.training import training_cost as cost_of
from archdsl.diagnostics.arguments import check_choice, check_flags, check_range
from archdsl.network.network import Network
from archdsl.network.open import AnyPath, InputSize, as_network

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
    return cost_of_step(net, batch, optimizer, precision, device, checkpoint)


def cost_of_step(
    net: Network, batch: int, optimizer: Optimizer, precision: Precision, device: Device, checkpoint: bool
) -> TrainingCost:
    from archdsl.backends.torch.tape import trace

    tape = trace(net.graph, device, precision, checkpoint)
    return cost_of(tape, [node.path for node in net.nodes], batch, optimizer, precision, device)
