"""`archdsl.training_cost`: memory and work of a training step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import get_args

from archdsl.analysis.training import MAX_BATCH, Device, Optimizer, Precision, TrainingCost, trains
from archdsl.analysis.training import training_cost as cost_of
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import check_choice, check_flags, check_range, conflict
from archdsl.network.network import Network
from archdsl.network.open import AnyPath, InputSize, as_network
from archdsl.ops import Bn, InstanceNorm
from archdsl.shapes import numel


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

    `optimizer`: `sgd` (without momentum), `adam` or `adamw`. `precision`: `amp` is `torch.autocast` to fp16 on CUDA,
    with parameters in fp32. `checkpoint`: the outermost blocks run again in the backward instead of
    storing what it needs. `device`: what torch stores on it. `args` and `input` as for `load`. docs/training-cost.md
    defines what is counted.

    Raises ArchError as `load` does, E0005 for an incomplete network, E0001 for an unknown name, E0002 for the batch,
    E0003 for `amp` on the CPU, E0920 if nothing of the network is trained.
    """
    check_range("batch", batch, 1, MAX_BATCH)
    for name, value, known in (
        ("optimizer", optimizer, Optimizer),
        ("precision", precision, Precision),
        ("device", device, Device),
    ):
        check_choice(name, value, get_args(known))
    check_flags(checkpoint=checkpoint)
    if device == "cpu" and precision == "amp":
        raise conflict("`amp` is counted for CUDA, not for the CPU", "leave out `device`, or count `fp32`")
    net = as_network(spec, args, input)
    return cost_of_step(net, batch, optimizer, precision, device, checkpoint)


def cost_of_step(
    net: Network, batch: int, optimizer: Optimizer, precision: Precision, device: Device, checkpoint: bool
) -> TrainingCost:
    from archdsl.backends.torch.tape import trace

    tape = trace(net.graph, device, precision, checkpoint)
    if not trains(tape):
        message = f"`{net.name}` cannot be trained: no output depends on a trained parameter"
        raise error("E0920", message, help="its parameters, if it has any, are constants of the spec")
    notes = [*_refused(net, batch)]
    if checkpoint and not tape.blocks:
        notes.append(f"`{net.name}` has no blocks, so nothing is checkpointed")
    cost = cost_of(tape, [node.path for node in net.nodes], batch, optimizer, precision, device)
    return replace(cost, notes=tuple(notes))


def _refused(net: Network, batch: int) -> Iterator[str]:
    """Notes on the first norms for which PyTorch refuses the step: they see one value per channel."""
    for kind, fits in ((Bn, batch > 1), (InstanceNorm, False)):
        nodes = (node for node in net.nodes if isinstance(node.op, kind) and numel(node.shape[1:]) == 1)
        if not fits and (node := next(nodes, None)):
            help_ = "use a batch of 2 or more, or a larger input" if kind is Bn else "use a larger input"
            yield f"PyTorch refuses this step: `{node.path}` sees one value per channel; {help_}"
